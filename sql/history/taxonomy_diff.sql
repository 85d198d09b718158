-- Purpose: what changed between the last taxonomy and this one, as a biologist would list it.
-- Grain: one row per change of one taxon; a taxon that has moved and was renamed has two.
-- Inputs: old_taxonomy, taxonomy, class_map.
-- Parameters: none.
-- A taxon is its rank, checklist and key (its name, where it has no key). It has moved when its parent is another one,
--   so a genus that changes its family is one change, not one for each of its species.
with trees as (
    select
        *,
        true as is_old
    from old_taxonomy
    union all by name
    select
        *,
        false as is_old
    from taxonomy
),

taxa as (
    select
        node.is_old,
        node.rank,
        coalesce(node.checklist_key, '') as checklist_key,
        coalesce(node.taxon_key, node.name) as identity,
        min(node.taxon_key) as taxon_key,
        min(node.name) as name,
        string_agg(distinct parent.name, ' | ' order by parent.name) as parent,
        list_sort(list(distinct coalesce(parent.taxon_key, parent.name))) as parents
    from trees as node
    inner join trees as parent on node.is_old = parent.is_old and node.parent_id = parent.node_id
    where not node.placeholder
    group by all
),

old_nodes as (
    select * from taxa
    where is_old
),

nodes as (
    select * from taxa
    where not is_old
),

compared as (
    select
        coalesce(nodes.rank, old_nodes.rank) as rank,
        nullif(coalesce(nodes.checklist_key, old_nodes.checklist_key), '') as checklist_key,
        nodes.taxon_key,
        nodes.name,
        nodes.parent,
        old_nodes.taxon_key as old_taxon_key,
        old_nodes.name as old_name,
        old_nodes.parent as old_parent,
        case
            when old_nodes.name is null then ['new']
            when nodes.name is null then ['gone']
            else list_filter(
                [
                    case when nodes.name <> old_nodes.name then 'renamed' end,
                    case when nodes.parents <> old_nodes.parents then 'moved' end
                ],
                lambda change: change is not null
            )
        end as changes
    from old_nodes
    full join nodes
        on
            old_nodes.rank = nodes.rank
            and old_nodes.checklist_key = nodes.checklist_key
            and old_nodes.identity = nodes.identity
),

-- The class map knows what became of species with a key that is new or gone.
species as (
    select
        class_map.change,
        'species' as rank,
        coalesce(class_map.checklist_key, class_map.old_checklist_key) as checklist_key,
        class_map.taxon_key,
        class_map.name,
        node.parent,
        class_map.old_taxon_key,
        class_map.old_name,
        old_node.parent as old_parent,
        class_map.occurrences
    from class_map
    left join nodes as node
        on
            node.rank = 'species' and class_map.taxon_key = node.identity
            and coalesce(class_map.checklist_key, '') = node.checklist_key
    left join old_nodes as old_node
        on
            old_node.rank = 'species' and class_map.old_taxon_key = old_node.identity
            and coalesce(class_map.old_checklist_key, '') = old_node.checklist_key
    where class_map.change <> 'same'
),

others as (
    select
        unnest(changes) as change,
        * exclude (changes),
        0::bigint as occurrences
    from compared
)

select
    change,
    rank,
    checklist_key,
    taxon_key,
    name,
    parent,
    old_taxon_key,
    old_name,
    old_parent,
    occurrences
from others
where rank <> 'species' or change in ('renamed', 'moved')
union all
select * from species
order by
    list_position(['kingdom', 'phylum', 'class', 'order', 'family', 'genus', 'species'], rank),
    change, coalesce(name, old_name), coalesce(taxon_key, old_taxon_key), old_taxon_key
