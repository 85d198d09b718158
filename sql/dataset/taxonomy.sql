-- Purpose: the tree of the kept species, numbered in preorder, with the range of classes below each node.
-- Grain: one row per node: the root, seven ranks below it.
-- Inputs: species.
-- Parameters: none.
-- Identity: a node is its path of names and keys from the root, so that homonyms (the mulberry Morus and the gannet
--   Morus) and a genus placed in two families stay apart. Siblings are ordered by name, then key; a list is smaller
--   than any list that it begins, so that ordering by path is preorder.
-- Placeholders: a missing rank becomes a node named after the nearest known ancestor, `Chordata (no class)`.
--   It has no key, even where the source gives a key without a name.
with lineages as (
    select
        taxon_key as species_key,
        checklist_key,
        photos,
        [
            struct_pack(
                name := coalesce(kingdom, 'Life (no kingdom)'),
                taxon_key := case when kingdom is null then '' else coalesce(kingdom_key, '') end,
                placeholder := kingdom is null
            ),
            struct_pack(
                name := coalesce(phylum, coalesce(kingdom, 'Life') || ' (no phylum)'),
                taxon_key := case when phylum is null then '' else coalesce(phylum_key, '') end,
                placeholder := phylum is null
            ),
            struct_pack(
                name := coalesce(class, coalesce(phylum, kingdom, 'Life') || ' (no class)'),
                taxon_key := case when class is null then '' else coalesce(class_key, '') end,
                placeholder := class is null
            ),
            struct_pack(
                name := coalesce("order", coalesce(class, phylum, kingdom, 'Life') || ' (no order)'),
                taxon_key := case when "order" is null then '' else coalesce(order_key, '') end,
                placeholder := "order" is null
            ),
            struct_pack(
                name := coalesce(family, coalesce("order", class, phylum, kingdom, 'Life') || ' (no family)'),
                taxon_key := case when family is null then '' else coalesce(family_key, '') end,
                placeholder := family is null
            ),
            struct_pack(
                name := coalesce(genus, coalesce(family, "order", class, phylum, kingdom, 'Life') || ' (no genus)'),
                taxon_key := case when genus is null then '' else coalesce(genus_key, '') end,
                placeholder := genus is null
            ),
            struct_pack(name := species, taxon_key := taxon_key, placeholder := false)
        ] as lineage
    from species
),

depths as (
    select unnest(range(8))::integer as depth
),

leaves as (
    select
        *,
        (row_number() over (order by lineage) - 1)::integer as leaf
    from lineages
),

levels as (
    select
        leaves.leaf,
        leaves.checklist_key,
        leaves.photos,
        depths.depth,
        leaves.lineage[1:depths.depth] as path
    from leaves
    cross join depths
),

nodes as (
    select
        path,
        depth,
        (row_number() over (order by path) - 1)::integer as node_id,
        min(checklist_key) as checklist_key,
        min(leaf) as leaf_begin,
        (max(leaf) + 1)::integer as leaf_end,
        sum(photos)::bigint as photos
    from levels
    group by path, depth
)

select
    node.node_id,
    parent.node_id as parent_id,
    node.depth,
    (['root', 'kingdom', 'phylum', 'class', 'order', 'family', 'genus', 'species'])[node.depth + 1] as rank,
    case when node.depth = 0 then 'Life' else node.path[node.depth].name end as name,
    case when node.depth > 0 then nullif(node.path[node.depth].taxon_key, '') end as taxon_key,
    case when node.depth > 0 and not node.path[node.depth].placeholder then node.checklist_key end as checklist_key,
    node.depth > 0 and node.path[node.depth].placeholder as placeholder,
    case when node.depth = 7 then node.leaf_begin end as class_id,
    node.leaf_begin,
    node.leaf_end,
    node.photos
from nodes as node
left join nodes as parent on parent.depth = node.depth - 1 and parent.path = node.path[1:node.depth - 1]
order by node.node_id
