/** As much Markdown as the repository's own documents use, as HTML. */

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const inline = (text: string): string =>
  text
    .split(/(`[^`]+`)/)
    .map((part) =>
      part.startsWith('`') && part.endsWith('`') && part.length > 1
        ? `<code>${escapeHtml(part.slice(1, -1))}</code>`
        : escapeHtml(part)
            .replace(/\[([^\]]+)\]\(([^)\s]+)\)/g, (_, label: string, target: string) => {
              const page = /^[^:]+\.md(#.*)?$/.test(target) ? target.replace('.md', '.html') : target;
              return `<a href="${page}">${label}</a>`;
            })
            .replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>'),
    )
    .join('');

const cells = (line: string, tag: 'td' | 'th'): string => {
  const texts = line.replace(/^\||\|$/g, '').split(/(?<!\\)\|/);
  return `<tr>${texts.map((text) => `<${tag}>${inline(text.trim())}</${tag}>`).join('')}</tr>`;
};

type Block = { readonly html: string; readonly lines: number };

const blockAt = (lines: readonly string[], from: number): Block => {
  const first = lines[from] ?? '';
  const run = (belongs: (line: string) => boolean): readonly string[] => {
    let end = from;
    while (end < lines.length && belongs(lines[end] ?? '')) end++;
    return lines.slice(from, Math.max(end, from + 1));
  };
  if (first.trim() === '') return { html: '', lines: 1 };
  if (first.startsWith('```')) {
    const length = lines.slice(from + 1).findIndex((line) => line.startsWith('```'));
    const code = lines.slice(from + 1, length < 0 ? lines.length : from + 1 + length);
    return { html: `<pre>${escapeHtml(code.join('\n'))}</pre>`, lines: code.length + 2 };
  }
  const heading = /^(#{1,6}) (.*)$/.exec(first);
  if (heading !== null) {
    const level = heading[1]?.length ?? 1;
    return { html: `<h${level}>${inline(heading[2] ?? '')}</h${level}>`, lines: 1 };
  }
  if (first.startsWith('|')) {
    const table = run((line) => line.startsWith('|'));
    const rows = table.slice(2).map((line) => cells(line, 'td'));
    return { html: `<table>${cells(first, 'th')}${rows.join('')}</table>`, lines: table.length };
  }
  if (/^\s*([-*]|\d+\.) /.test(first)) {
    const list = run((line) => line.trim() !== '' && !line.startsWith('#'));
    const items = list
      .join('\n')
      .split(/\n?^\s*(?:[-*]|\d+\.) /m)
      .slice(1);
    return {
      html: `<ul>${items.map((item) => `<li>${inline(item)}</li>`).join('')}</ul>`,
      lines: list.length,
    };
  }
  const paragraph = run((line) => line.trim() !== '' && !/^(#|\||```)/.test(line));
  return { html: `<p>${inline(paragraph.join('\n'))}</p>`, lines: paragraph.length };
};

/** A whole page; links to `.md` files point to their pages. */
export const pageOf = (title: string, markdown: string): string => {
  const lines = markdown.split('\n');
  const blocks: string[] = [];
  for (let from = 0; from < lines.length; ) {
    const block = blockAt(lines, from);
    blocks.push(block.html);
    from += block.lines;
  }
  const body = blocks.filter((html) => html !== '').join('\n');
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title></head>\n<body>\n${body}\n</body></html>\n`;
};
