// Photographs of the dataset that show a taxon, with author, licence and where they are from. Asked for once.

import * as api from "./api.js";
import { link, make } from "./dom.js";

const known = new Map();
const ask = key => {
  // One that failed is asked for again the next time.
  if (!known.has(key)) known.set(key, api.examples(key).catch(() => { known.delete(key); return []; }));
  return known.get(key);
};

// A figure for each of at most `most` examples; the address of a taxon without a key is not known.
export const exampleFigures = async (taxon, most) => {
  if (!taxon.taxon_key) return [];
  return (await ask(taxon.taxon_key)).slice(0, most).map(example => make("figure", { class: "example" },
    make("img", { src: example.src, alt: `${example.species ?? taxon.name}, photograph of the dataset`, loading: "lazy" }),
    make("figcaption", {},
      example.creator, ", ", link(example.licence, example.licence_url) ?? example.licence,
      example.link && [" · ", link("observation", example.link, `Observation by ${example.creator}`)])));
};
