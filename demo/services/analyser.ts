import { relative, resolve, sep } from 'node:path';
import type { Node, SourceFile } from 'typescript/unstable/ast';
import {
  isArrowFunction,
  isFunctionDeclaration,
  isFunctionExpression,
  isImportDeclaration,
  isInterfaceDeclaration,
  isMethodDeclaration,
  isStringLiteral,
  isTypeAliasDeclaration,
} from 'typescript/unstable/ast/is';
import { API, type Project } from 'typescript/unstable/async';
import * as z from 'zod';
import { runService } from './service-host.ts';

/** Parses the repository's own TypeScript with the compiler's parser. */

const root = resolve(import.meta.dirname, '../..');
const maxFiles = 500;
const api = new API({ cwd: root });
let opened: Promise<Project> | undefined;

const open = async (): Promise<Project> => {
  const snapshot = await api.updateSnapshot({ openProjects: [resolve(root, 'tsconfig.json')] });
  const [project] = snapshot.getProjects();
  if (project === undefined) throw new Error('the project cannot be opened');
  return project;
};

const isFunction = (node: Node): boolean =>
  isFunctionDeclaration(node) ||
  isFunctionExpression(node) ||
  isArrowFunction(node) ||
  isMethodDeclaration(node);

const factsOf = (file: SourceFile) => {
  const line = (position: number): number => file.getLineAndCharacterOfPosition(position).line;
  let functions = 0;
  let longestFunction = 0;
  const visit = (node: Node): void => {
    if (isFunction(node)) {
      functions++;
      longestFunction = Math.max(longestFunction, line(node.end) - line(node.pos) + 1);
    }
    node.forEachChild(visit);
  };
  visit(file);
  const imports = file.statements
    .filter(isImportDeclaration)
    .map(({ moduleSpecifier }) => (isStringLiteral(moduleSpecifier) ? moduleSpecifier.text : ''));
  return {
    name: relative(root, file.fileName),
    lines: file.getLineStarts().length - (file.text.endsWith('\n') ? 1 : 0),
    functions,
    longestFunction,
    types: file.statements.filter((node) => isTypeAliasDeclaration(node) || isInterfaceDeclaration(node))
      .length,
    exports: file.statements.filter((node) =>
      /^export\b/.test(file.text.slice(node.pos, node.end).trimStart()),
    ).length,
    imports: imports.length,
    packages: [...new Set(imports.filter((name) => !name.startsWith('.')))],
  };
};

const input = z.object({ folder: z.string().regex(/^[a-z]+(\/[a-z-]+)*$/) });

runService({
  name: 'analyser',
  capabilities: ['code.analyse'],
  actions: [{ method: 'analyse', takes: ['folder'], gives: 'codeFacts' }],
  methods: {
    async analyse(data) {
      const folder = resolve(root, input.parse(data).folder) + sep;
      opened ??= open();
      const { program } = await opened;
      const names = (await program.getSourceFileNames())
        .filter((name) => name.startsWith(folder))
        .slice(0, maxFiles);
      const rows = [];
      for (const name of names.sort()) {
        const file = await program.getSourceFile(name);
        if (file !== undefined) rows.push(factsOf(file));
      }
      return { folder: relative(root, folder), rows };
    },
  },
  close: () => api.close(),
});
