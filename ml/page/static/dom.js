// Elements and words that every part of the page needs.

export const byId = id => document.getElementById(id);

// An element: attributes by name (`class`, `text`, `onclick` ...), then children. What is null or false is left out.
export const make = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return made;
};

// A link that leaves the page; null without an address of the web.
export const link = (text, href, label) => href && /^(https?:|\/)/.test(href)
  ? make("a", { href, text, "aria-label": label, target: "_blank", rel: "noopener noreferrer" }) : null;

// A probability as the server writes it (`ml.serving.explanation`): what is not certain is never 0 % or 100 %.
export const percent = (share, decimals = 0) => {
  const shown = (100 * share).toFixed(decimals), least = 10 ** -decimals;
  if (share < 1 && Number(shown) >= 100) return `>${(100 - least).toFixed(decimals)} %`;
  if (share > 0 && Number(shown) <= 0) return `<${least.toFixed(decimals)} %`;
  return `${shown} %`;
};

// Two probabilities, with as many decimals as tell them apart.
export const apart = (one, other) => {
  for (let decimals = 0; ; decimals++) {
    const shown = [percent(one, decimals), percent(other, decimals)];
    if (shown[0] !== shown[1] || decimals === 6) return shown;
  }
};

// "9 times in 10": an accuracy as people say it.
export const times = target => {
  const thousand = Math.round(1000 * target);
  const [right, of] = thousand % 100 === 0 ? [thousand / 100, 10]
    : thousand % 10 === 0 ? [thousand / 10, 100] : [thousand, 1000];
  return `${right} times in ${of}`;
};

// A bar whose length is a share; the number stands beside it in words.
export const bar = share => {
  const filled = make("span", { class: "filled" });
  filled.style.inlineSize = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return make("span", { class: "bar", "aria-hidden": "true" }, filled);
};

// A sentence: with a capital, and a full stop where it has none. A number stays with its sign of percent.
export const sentence = text => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`
  .replaceAll(/(?<=\d) %/g, "\u00a0%");

// Ranks from genus down are written in italics.
const ITALIC = new Set(["genus", "species", "subspecies", "variety", "form"]);
export const scientific = taxon => make(ITALIC.has(taxon.rank) ? "em" : "span", { class: "taxon", text: taxon.name, translate: "no" });

// What a screen reader says; the same sentence twice is said twice.
let turn = false;
export const say = sentence => {
  turn = !turn;
  byId("said").textContent = sentence + (turn ? "\u00a0" : "");
};

// A message above everything, until it is closed; one of a kind at a time.
export const notice = (kind, content, action = null) => {
  const area = byId("notices");
  area.querySelector(`[data-kind="${kind}"]`)?.remove();
  const shown = make("div", { class: "note", role: "alert", "data-kind": kind },
    make("p", {}, content),
    make("div", { class: "row" },
      action && make("button", { type: "button", text: action.text, onclick: () => { shown.remove(); action.run(); } }),
      make("button", { type: "button", class: "plain", text: "Close", onclick: () => shown.remove() })));
  area.append(shown);
};
export const withdraw = kind => byId("notices").querySelector(`[data-kind="${kind}"]`)?.remove();
