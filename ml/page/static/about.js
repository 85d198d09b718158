// The model: card, version, data, what it can promise. A dialog.

import { targets } from "./answer.js";
import { byId, link, make, percent, times } from "./dom.js";

const fact = (term, ...content) => content.some(part => part !== null && part !== undefined && part !== "")
  ? [make("dt", { text: term }), make("dd", {}, content)] : [];

// Headings, lists, tables and paragraphs of a Markdown text, as elements: nothing of it is ever HTML.
export const readable = markdown => {
  const lines = markdown.replace(/^---\n[\s\S]*?\n---\n/, "").split("\n"), made = [];
  const plain = text => text.replace(/\[([^\]]+)\]\([^)]*\)/g, "$1").replace(/\*\*|`/g, "").trim();
  const cells = row => row.replace(/^\||\|$/g, "").split("|").map(plain);
  for (let at = 0; at < lines.length;) {
    const taken = pattern => {
      const found = [];
      while (at < lines.length && pattern.test(lines[at])) found.push(lines[at++]);
      return found;
    };
    const heading = /^(#+)\s+(.*)/.exec(lines[at]);
    if (heading) { made.push(make(heading[1].length < 3 ? "h3" : "h4", { text: plain(heading[2]) })); at++; continue; }
    const table = taken(/^\|/);
    if (table.length) {
      const [head, ...body] = table.filter(row => !/^[|\s:-]+$/.test(row)).map(cells);
      made.push(make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": head.filter(Boolean).join(", ") },
        make("table", {}, make("thead", {}, make("tr", {}, head.map(text => make("th", { scope: "col", text })))),
          make("tbody", {}, body.map(row => make("tr", {}, row.map(text => make("td", { text }))))))));
      continue;
    }
    const items = taken(/^\s*[-*]\s+/);
    if (items.length) { made.push(make("ul", {}, items.map(item => make("li", { text: plain(item.replace(/^\s*[-*]\s+/, "")) })))); continue; }
    const words = taken(/^(?!#+\s|\||\s*[-*]\s+)\s*\S/);
    if (words.length) made.push(make("p", { text: plain(words.join(" ")) })); else at++;
  }
  return made;
};

const card = text => !text ? [] : /^(https?:\/|\/)\S*$/.test(text.trim())
  ? [make("p", {}, link("Model card", text.trim()))] : [make("hr"), ...readable(text)];

export const describe = model => {
  const can = targets(model), { watch } = model;
  byId("by").replaceChildren(`${model.name} version ${model.version}`,
    model.dataset_version ? `, learnt from dataset version ${model.dataset_version}` : "",
    `, knows ${model.classes.toLocaleString("en")} species.`);
  byId("model-content").replaceChildren(
    make("dl", { class: "facts" },
      fact("Model", `${model.name} version ${model.version}`),
      fact("Dataset version", model.dataset_version),
      fact("Species", model.classes.toLocaleString("en")),
      fact("Calibrated to be right", times(model.target)),
      fact("Can be asked for", can.length ? `${times(can[0])} to ${times(can.at(-1))}` : null),
      fact("Knows places and seasons", model.places ? `of ${model.places.occurrences.toLocaleString("en")} occurrences` : "no"),
      fact("Tells what is unlike anything learnt", model.novelty ? "yes" : "no"),
      fact("Watch list", watch.map(taxon =>
        `${taxon.taxon} (alarm from ${percent(taxon.threshold)})`).join("; ")),
      fact("Report", link("Report of this dataset and model", model.report))),
    ...card(model.card));
};
