import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pageOf } from './markdown.ts';
import { runService } from './service-host.ts';

/** Serves the repository's own documents as a small web site. */

const root = resolve(import.meta.dirname, '../..');
let origin = '';

/** Paths from the root, `.md` included: the only files that are served. */
const documents = async (): Promise<readonly string[]> => {
  const inDocs = await readdir(join(root, 'docs'), { recursive: true });
  return ['README.md', ...inDocs.map((name) => `docs/${name.replaceAll('\\', '/')}`)]
    .filter((name) => name.endsWith('.md'))
    .sort();
};

const pageName = (document: string): string => `/${document.replace(/\.md$/, '.html')}`;

runService({
  name: 'pages',
  capabilities: ['pages.serve'],
  actions: [{ method: 'index', takes: [], gives: 'site' }],
  onListening: (listening) => {
    origin = listening;
  },
  async page(path) {
    const names = await documents();
    if (path === '/') {
      return pageOf('Documents', `# Documents\n\n${names.map((name) => `- [${name}](/${name})`).join('\n')}`);
    }
    const document = names.find((name) => pageName(name) === path);
    return document === undefined
      ? undefined
      : pageOf(document, await readFile(join(root, document), 'utf8'));
  },
  methods: {
    async index() {
      return { start: `${origin}/`, pages: (await documents()).length + 1 };
    },
  },
});
