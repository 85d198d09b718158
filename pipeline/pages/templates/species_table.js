// Search and sorting of the species table. Draws what matches, a hundred rows at a time: 20,000 species stay quick.
(() => {
  const STEP = 100;
  const data = JSON.parse(document.getElementById("species-data").textContent);
  const [NAME, GROUP, TRAIN, VALIDATION, CORRECT, KEY, GENUS] = [0, 1, 2, 3, 4, 5, 6];
  const INATURALIST = "https://www.inaturalist.org/taxa/search?q=";
  const GBIF_SEARCH = "https://www.gbif.org/taxon/search?q=";
  const element = id => document.getElementById(id);
  const query = element("species-query"), count = element("species-count"), more = element("species-more");
  const body = element("species-table").tBodies[0];
  const heads = [...document.querySelectorAll("#species-table th[data-sort]")];

  // Without accents and capitals: "kaka" finds "Kākā".
  const fold = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const texts = data.rows.map(row => fold([row[NAME], row[GENUS] || "", ...data.groups[row[GROUP]]].join(" ")));
  const share = row => row[CORRECT] === null ? -1 : row[CORRECT] / row[VALIDATION];
  const values = {
    name: row => row[NAME],
    train: row => row[TRAIN],
    validation: row => row[VALIDATION],
    right: share,
    family: row => data.groups[row[GROUP]][0],
  };
  const compare = new Intl.Collator("en").compare;
  let sort = "name", direction = 1, shown = STEP, matches = [];

  const cell = (text, number) => {
    const made = document.createElement("td");
    made.textContent = text;
    if (number) made.className = "number";
    return made;
  };
  const link = (text, href, name) => {
    const made = document.createElement("a");
    made.textContent = text;
    made.href = href;
    made.setAttribute("aria-label", `${name} at ${text}`);
    return made;
  };
  const line = row => {
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
  const draw = () => {
    body.replaceChildren(...matches.slice(0, shown).map(place => line(data.rows[place])));
    more.hidden = matches.length <= shown;
    const all = data.rows.length.toLocaleString("en"), found = matches.length.toLocaleString("en");
    count.textContent = query.value.trim() ? `${found} of ${all} species` : `${all} species`;
  };
  const find = () => {
    const words = fold(query.value).split(/\s+/).filter(Boolean), value = values[sort];
    matches = [...texts.keys()].filter(place => words.every(word => texts[place].includes(word)));
    // Rows come in the order of names, which stays among equals.
    if (sort !== "name") matches.sort((a, b) => {
      const [one, other] = [value(data.rows[a]), value(data.rows[b])];
      return direction * (typeof one === "string" ? compare(one, other) : one - other);
    });
    else if (direction < 0) matches.reverse();
    shown = STEP;
    draw();
  };

  heads.forEach(head => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      direction = head.dataset.sort === sort ? -direction : head.classList.contains("number") ? -1 : 1;
      sort = head.dataset.sort;
      heads.forEach(one => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      find();
    });
  });
  heads[0].setAttribute("aria-sort", "ascending");
  query.addEventListener("input", find);
  element("species-find").addEventListener("submit", event => event.preventDefault());
  more.addEventListener("click", () => { shown += STEP; draw(); });
  // On paper there is nothing to press.
  addEventListener("beforeprint", () => { shown = 5 * STEP; draw(); });
  element("species-find").hidden = false;
  find();
})();
