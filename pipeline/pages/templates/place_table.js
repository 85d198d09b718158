// The list of a place: `searchable.js` is included before it.
(() => {
  const data = JSON.parse(document.getElementById("place-data").textContent);
  const [NAME, COMMON, PART, GROUP, RECORDS, SHARE, MONTHS, OUTSIDE, NEAREST, NAMED, MISSING, ADDRESS] =
    Array.from({ length: 12 }, (_, place) => place);
  const NEAR = data.parts.length - 1, SVG = "http://www.w3.org/2000/svg";
  const rows = data.rows, counting = new Set(data.counting), table = document.getElementById("place-table");
  if (!table) return;
  const chosen = name => document.getElementById(`place-${name}`);
  const part = chosen("part"), month = chosen("month"), group = chosen("group");

  const drawn = (name, facts) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(facts)) made.setAttribute(key, value);
    return made;
  };
  const said = counts => counts.map((count, place) => count ? `${data.months[place]} ${count.toLocaleString("en")}` : "")
    .filter(Boolean).join(", ") || "no month known";
  const bars = counts => {
    const made = drawn("svg", { class: "months", viewBox: "0 0 60 17", role: "img", "aria-label": said(counts) });
    const most = Math.max(...counts, 1);
    made.append(drawn("path", { d: "M0 16.5H59" }));
    counts.forEach((count, place) => {
      if (!count) return;
      const high = Math.max(16 * count / most, 1.5);
      const bar = drawn("rect", { x: 5 * place, y: 16 - high, width: 4, height: high });
      if (counting.size && !counting.has(place + 1)) bar.setAttribute("class", "aside");
      made.append(bar);
    });
    return made;
  };
  const beside = (text, small) => {
    const made = cell(text), more = document.createElement("span");
    more.className = "small";
    more.textContent = small;
    made.append(more);
    return made;
  };
  const line = place => {
    const row = rows[place], [first, , family] = data.groups[row[GROUP]];
    const made = document.createElement("tr"), name = document.createElement("th"), link = document.createElement("a");
    const months = document.createElement("td");
    name.scope = "row";
    link.href = row[ADDRESS];
    link.textContent = row[NAME];
    name.append(link);
    if (row[COMMON]) {
      const common = document.createElement("span");
      common.textContent = row[COMMON];
      name.append(common);
    }
    months.append(bars(row[MONTHS]));
    made.append(name, cell((row[OUTSIDE] ? "~" : "") + row[RECORDS].toLocaleString("en"), true),
      cell(row[SHARE] ? `${(100 * row[SHARE]).toFixed(1)}\u00a0%` : "\u2013", true), months,
      row[PART] === NEAR ? beside(data.parts[NEAR], `nearest ${row[NEAREST]}`) : cell(data.parts[row[PART]]),
      cell(row[NAMED]), beside(first, family));
    return made;
  };
  part.append(...data.parts.map((text, place) => new Option(text, place)));
  month.append(...data.months.map((text, place) => new Option(text, place)));
  group.append(...[...new Set(data.groups.map(([first]) => first))].sort().map(text => new Option(text, text)));
  const find = searchable({
    name: "place",
    noun: "species",
    texts: rows.map(row => [row[NAME], row[COMMON] || "", ...data.groups[row[GROUP]]].join(" ")),
    values: {
      records: place => rows[place][RECORDS],
      share: place => rows[place][SHARE],
      part: place => rows[place][PART],
      named: place => rows[place][MISSING],
      group: place => data.groups[rows[place][GROUP]].join(" "),
    },
    line,
    keep: place => (!part.value || String(rows[place][PART]) === part.value)
      && (!month.value || rows[place][MONTHS][month.value] > 0)
      && (!group.value || data.groups[rows[place][GROUP]][0] === group.value),
  });
  for (const each of [part, month, group]) each.addEventListener("change", find);
  // What was recorded here, the most recorded first; the rows themselves are in the order of names.
  if (rows.some(row => row[PART] === 0)) part.value = "0";
  table.querySelector('[data-sort="share"] button').click();
})();
