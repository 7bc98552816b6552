import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'ava';
import { defaultLimits, hookNames } from '../../domain/plugin/manifest.ts';
import type { PluginTestKit } from '../../src/plugin/test-kit/api.ts';
import * as kit from '../../src/plugin/test-kit.ts';

const root = join(import.meta.dirname, '../..');
const guide = readFileSync(join(root, 'docs/plugins.md'), 'utf8');

type Block =
  | { readonly type: 'file'; readonly path: string; readonly text: string }
  | { readonly type: 'shell'; readonly text: string }
  /** Lines that the output of the commands before has in it, in this order. */
  | { readonly type: 'output'; readonly lines: readonly string[] };

/** The code blocks of the steps: a file's name stands in front of its text. */
const blocksOf = (section: string): readonly Block[] =>
  [...section.matchAll(/(?:^`([^`\n]+)`\n\n)?^```(\w+)\n([\s\S]*?)^```$/gm)].map(
    ([, path, language, text = '']): Block => {
      if (path !== undefined) return { type: 'file', path, text };
      if (language === 'sh') return { type: 'shell', text };
      if (language === 'text') return { type: 'output', lines: text.trimEnd().split('\n') };
      throw new Error(`what is this block of ${language}?\n${text}`);
    },
  );

/** One request that changes nothing. */
const isLook = /^curl -s '?http\S+\n$/;

/** The first of the lines that the output does not have behind those before. */
const lacks = (output: string, lines: readonly string[]): string | undefined => {
  let from = 0;
  for (const line of lines) {
    const at = output.indexOf(line, from);
    if (at === -1) return line;
    from = at + line.length;
  }
  return undefined;
};

const sectionOf = (title: string): string => {
  const [, section = ''] = guide.split(`\n## ${title}\n`);
  return section.split('\n## ')[0] ?? '';
};

/** The folder of the hub as `npm ci` leaves it, with `npx` as it finds what lies there. */
const checkout = async (): Promise<{ readonly folder: string; readonly env: NodeJS.ProcessEnv }> => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'nexus-guide-')));
  for (const part of ['src', 'domain', 'projections', 'plugins', 'package.json', 'node_modules'])
    await symlink(await realpath(join(root, part)), join(folder, part));
  const bin = join(folder, '.bin');
  await mkdir(bin);
  const npx = `#!/bin/sh\nif [ "$1" = nexus ]; then shift; set -- ${join(root, 'bin/nexus.js')} "$@"; fi\nexec "$@"\n`;
  await writeFile(join(bin, 'npx'), npx, { mode: 0o755 });
  await symlink(process.execPath, join(bin, 'node'));
  const { HOME = folder, PATH = '' } = process.env;
  return {
    folder,
    env: {
      HOME,
      PATH: [bin, join(root, 'node_modules/.bin'), PATH].join(':'),
      NEXUS_API_PORT: '0',
      NEXUS_ZMQ_PUBLISH: 'none',
      NEXUS_ZMQ_COMMAND: 'none',
      NEXUS_LOG_LEVEL: 'error',
      NEXUS_MAX_LAG_MS: '60000',
    },
  };
};

test('docs/plugins.md › the steps, typed as they stand, make a plugin that runs the first time', async (t) => {
  t.timeout(240_000);
  const { folder, env } = await checkout();
  let hub: ReturnType<typeof spawn> | undefined;
  t.teardown(async () => {
    if (hub?.exitCode === null && hub.signalCode === null) {
      const ended = once(hub, 'exit');
      hub.kill('SIGTERM');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  });
  let url = '';
  let output = '';
  let typed = '';

  const startHub = async (text: string): Promise<void> => {
    const child = spawn('sh', ['-c', `exec ${text}`], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    hub = child;
    const lines = createInterface({ input: child.stdout });
    const [line]: unknown[] = await Promise.race([
      once(lines, 'line'),
      once(child, 'exit').then(() => ['the hub ended']),
    ]);
    url = /^NEXUS ready (\S+) /.exec(String(line))?.[1] ?? '';
    t.not(url, '', String(line));
  };

  const run = async (text: string): Promise<void> => {
    const child = spawn('sh', ['-euc', text.replaceAll('http://127.0.0.1:8080', url)], {
      cwd: folder,
      env: { ...env, NEXUS_URL: url },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [code]: unknown[] = await once(child, 'close');
    t.is(code, 0, `${text}\n${output}`);
  };

  const blocks = blocksOf(sectionOf('From nothing to running'));
  t.true(blocks.length >= 10);
  for (const block of blocks) {
    switch (block.type) {
      case 'file': {
        const path = normalize(block.path);
        t.false(path.startsWith('..') || path.startsWith('/'));
        await mkdir(join(folder, dirname(path)), { recursive: true });
        await writeFile(join(folder, path), block.text);
        break;
      }
      case 'shell':
        typed = block.text;
        await (/\bnexus start\b/.test(block.text) ? startHub(block.text) : run(block.text));
        break;
      case 'output':
        // Who only looks may look again.
        for (
          let looks = 1;
          looks < 50 && lacks(output, block.lines) !== undefined && isLook.test(typed);
          looks++
        )
          await run(typed);
        t.is(lacks(output, block.lines), undefined, `${typed}\n${output}`);
        break;
    }
  }
});

test('docs/plugins.md › the tables have each limit with its default, each hook and each function of the test kit', (t) => {
  for (const [limit, value] of Object.entries(defaultLimits))
    t.true(guide.includes(`| \`${limit}\` | ${value} |`), limit);
  for (const hook of hookNames) t.true(guide.includes(`\`${hook}\``), hook);
  const functions: PluginTestKit = kit;
  const declared = readFileSync(join(root, 'src/plugin/test-kit/module.d.ts'), 'utf8');
  const names = [...declared.matchAll(/^export declare const (\w+): PluginTestKit\['(\w+)'\];$/gm)];
  t.deepEqual(names.map(([, name]) => name).sort(), Object.keys(functions).sort());
  t.true(names.every(([, name, type]) => name === type));
  for (const name of Object.keys(functions)) t.regex(guide, new RegExp(`\\b${name}\\b`), name);
});
