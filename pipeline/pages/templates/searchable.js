// Search and sorting of a table whose rows the page holds as data. Draws what matches, a hundred rows at a time: 20,000
// rows stay quick. The elements NAME-query, -count, -more, -table and -find belong to it. Returns a function that draws
// anew, for when `keep` has changed its mind.

// Without accents and capitals: "kaka" finds "Kākā".
const fold = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const cell = (text, number) => {
  const made = document.createElement("td");
  made.textContent = text;
  if (number) made.className = "number";
  return made;
};
// texts: what is searched, by row. values: by the `data-sort` of a column, what it is sorted by; the first column is in
// the order in which the rows come. line: a row of the table. keep: whether a place may be shown.
const searchable = ({ name, noun, texts, values, line, keep = () => true }) => {
  const STEP = 100;
  const element = part => document.getElementById(`${name}-${part}`);
  const query = element("query"), count = element("count"), more = element("more"), table = element("table");
  const folded = texts.map(fold), body = table.tBodies[0];
  const heads = [...table.querySelectorAll("th[data-sort]")], first = heads[0].dataset.sort;
  const compare = new Intl.Collator("en").compare;
  let sort = first, direction = 1, shown = STEP, matches = [];

  const draw = () => {
    body.replaceChildren(...matches.slice(0, shown).map(line));
    more.hidden = matches.length <= shown;
    const all = folded.length.toLocaleString("en"), found = matches.length.toLocaleString("en");
    count.textContent = query.value.trim() || matches.length < folded.length ? `${found} of ${all} ${noun}` : `${all} ${noun}`;
  };
  const find = () => {
    const words = fold(query.value).split(/\s+/).filter(Boolean), value = values[sort];
    matches = [...folded.keys()].filter(place => keep(place) && words.every(word => folded[place].includes(word)));
    // The order in which the rows come stays among equals.
    if (sort !== first) matches.sort((a, b) => {
      const [one, other] = [value(a), value(b)];
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
      direction = head.dataset.sort === sort ? -direction : head.matches(".number, [data-first=down]") ? -1 : 1;
      sort = head.dataset.sort;
      heads.forEach(one => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      find();
    });
  });
  heads[0].setAttribute("aria-sort", "ascending");
  query.addEventListener("input", find);
  element("find").addEventListener("submit", event => event.preventDefault());
  more.addEventListener("click", () => { shown += STEP; draw(); });
  // On paper there is nothing to press.
  addEventListener("beforeprint", () => { shown = 5 * STEP; draw(); });
  element("find").hidden = false;
  find();
  return find;
};
