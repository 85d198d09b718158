// The species table: `searchable.js` is included before it.
(() => {
  const data = JSON.parse(document.getElementById("species-data").textContent);
  const [NAME, GROUP, TRAIN, VALIDATION, CORRECT, KEY, GENUS] = [0, 1, 2, 3, 4, 5, 6];
  const INATURALIST = "https://www.inaturalist.org/taxa/search?q=";
  const GBIF_SEARCH = "https://www.gbif.org/taxon/search?q=";
  const rows = data.rows;

  const link = (text, href, name) => {
    const made = document.createElement("a");
    made.textContent = text;
    made.href = href;
    made.setAttribute("aria-label", `${name} at ${text}`);
    return made;
  };
  const line = place => {
    const row = rows[place];
    const made = document.createElement("tr"), name = document.createElement("th"), links = document.createElement("td");
    name.scope = "row";
    name.textContent = row[NAME];
    const gbif = data.by_key && row[KEY] ? data.gbif + encodeURIComponent(row[KEY])
      : GBIF_SEARCH + encodeURIComponent(row[NAME]);
    links.append(link("GBIF", gbif, row[NAME]), " ",
      link("iNaturalist", INATURALIST + encodeURIComponent(row[NAME]), row[NAME]));
    made.append(name, cell(row[TRAIN].toLocaleString("en"), true), cell(row[VALIDATION].toLocaleString("en"), true));
    if (data.network) made.append(cell(row[CORRECT] === null ? "\u2013" : row[CORRECT].toLocaleString("en"), true));
    made.append(cell(data.groups[row[GROUP]][0]), links);
    return made;
  };
  searchable({
    name: "species",
    noun: "species",
    texts: rows.map(row => [row[NAME], row[GENUS] || "", ...data.groups[row[GROUP]]].join(" ")),
    values: {
      train: place => rows[place][TRAIN],
      validation: place => rows[place][VALIDATION],
      right: place => rows[place][CORRECT] === null ? -1 : rows[place][CORRECT] / rows[place][VALIDATION],
      family: place => data.groups[rows[place][GROUP]][0],
    },
    line,
  });
})();
