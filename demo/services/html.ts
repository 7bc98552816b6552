/** What stands in a page: a tokenizer over tags and text, without scripts and styles. */
export type PageFacts = {
  readonly title: string;
  readonly headings: readonly string[];
  readonly links: readonly string[];
  readonly words: readonly string[];
};

const token = /<!--[\s\S]*?-->|<(\/?)([a-zA-Z][a-zA-Z0-9]*)([^>]*)>|([^<]+)/g;
const href = /\bhref\s*=\s*"([^"]*)"/i;
const word = /\p{L}[\p{L}\p{N}'-]*/gu;
const entities = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
]);

const decode = (text: string): string =>
  text.replace(/&(amp|lt|gt|quot);/g, (whole, name: string) => entities.get(name) ?? whole);

export const parsePage = (html: string): PageFacts => {
  const headings: string[] = [];
  const links: string[] = [];
  const words: string[] = [];
  let title = '';
  let inside = '';
  let text = '';
  for (const [, closing, tag, attributes, plain] of html.matchAll(token)) {
    if (plain !== undefined) {
      const decoded = decode(plain);
      text += decoded;
      if (inside !== 'title') words.push(...(decoded.toLowerCase().match(word) ?? []));
    }
    if (tag === undefined) continue;
    const name = tag.toLowerCase();
    const isMarked = name === 'title' || /^h[1-6]$/.test(name);
    if (name === 'a' && closing === '') {
      const target = href.exec(attributes ?? '')?.[1];
      if (target !== undefined) links.push(decode(target));
    }
    if (!isMarked) continue;
    if (closing === '') {
      inside = name;
      text = '';
    } else {
      if (name === 'title') title = text.trim();
      else headings.push(text.trim());
      inside = '';
    }
  }
  return { title, headings, links, words };
};
