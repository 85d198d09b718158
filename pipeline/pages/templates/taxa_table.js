// The table of taxa: `searchable.js` is included before it.
(() => {
  const data = JSON.parse(document.getElementById("taxa-data").textContent);
  const [DEPTH, RANK, NAME, SPECIES, TRAIN, JUDGED, RECOGNISED, WITHIN, ANSWERED, MEAN, , OTHER, TIMES, KEY] =
    Array.from({ length: 14 }, (_, place) => place);
  const NOTHING = "\u2013", ITALIC = new Set(["genus", "species"]);
  const rows = data.rows, rank = document.getElementById("taxa-rank");

  // A taxon is found by the names of those above it, too: they stand before it, higher up.
  const above = [];
  const texts = rows.map(row => {
    above.length = row[DEPTH] - 1;
    above.push(row[NAME]);
    return above.join(" ");
  });
  const share = (part, row) => row[JUDGED] ? row[part] / row[JUDGED] : -1;
  const percent = (part, row) => row[JUDGED] ? `${(100 * share(part, row)).toFixed(1)}\u00a0%` : NOTHING;
  const number = value => cell(value.toLocaleString("en"), true);

  const line = place => {
    const row = rows[place], made = document.createElement("tr"), name = document.createElement("th");
    name.scope = "row";
    name.style.setProperty("--depth", row[DEPTH]);
    if (ITALIC.has(data.ranks[row[RANK]])) made.className = "name";
    if (data.by_key && row[KEY]) {
      const link = document.createElement("a");
      link.href = data.gbif + encodeURIComponent(row[KEY]);
      link.textContent = row[NAME];
      name.append(link);
    } else name.textContent = row[NAME];
    made.append(name, cell(data.ranks[row[RANK]]), cell(percent(RECOGNISED, row), true), cell(percent(WITHIN, row), true),
      number(row[JUDGED]), number(row[TRAIN]), number(row[SPECIES]),
      cell(row[ANSWERED] ? row[MEAN].toFixed(2) : NOTHING, true),
      cell(row[TIMES] ? `${row[OTHER]} (${row[TIMES].toLocaleString("en")})` : NOTHING));
    return made;
  };
  rank.append(...data.ranks.map((text, place) => new Option(text, place)));
  const find = searchable({
    name: "taxa",
    noun: "taxa",
    texts,
    values: {
      rank: place => rows[place][DEPTH],
      species: place => rows[place][SPECIES],
      train: place => rows[place][TRAIN],
      judged: place => rows[place][JUDGED],
      right: place => share(RECOGNISED, rows[place]),
      within: place => share(WITHIN, rows[place]),
      mean: place => rows[place][ANSWERED] ? rows[place][MEAN] : -1,
      times: place => rows[place][TIMES],
    },
    line,
    keep: place => !rank.value || String(rows[place][RANK]) === rank.value,
  });
  rank.addEventListener("change", find);
})();
