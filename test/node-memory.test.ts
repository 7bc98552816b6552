import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readNodeMemory, writeNodeMemory } from '../src/node-memory.ts';

const folderFor = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-memory-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

test('a folder without a memory gives a new node each time, which remembers no log', async (t) => {
  const folder = await folderFor(t);
  const [first, second] = [readNodeMemory(folder), readNodeMemory(join(folder, 'unmade'))];
  t.is(first.log, null);
  t.not(first.node, second.node);
  t.deepEqual(await readdir(folder), [], 'reading writes nothing');
});

test('what is written is read again, and nothing else is left in the folder', async (t) => {
  const folder = await folderFor(t);
  const memory = { node: 'node-1', log: { logId: 'log-1', kind: 'redis' } } as const;
  writeNodeMemory(folder, { node: 'node-1', log: null });
  t.deepEqual(readNodeMemory(folder), { node: 'node-1', log: null });
  writeNodeMemory(folder, memory);
  t.deepEqual(readNodeMemory(folder), memory);
  t.deepEqual(await readdir(folder), ['node.json']);
});

test('a write that was cut off leaves the older memory', async (t) => {
  const folder = await folderFor(t);
  const memory = { node: 'node-1', log: { logId: 'log-1', kind: 'embedded' } } as const;
  writeNodeMemory(folder, memory);
  await writeFile(join(folder, 'node.json.tmp'), '{"node":"no');
  t.deepEqual(readNodeMemory(folder), memory);
  writeNodeMemory(folder, { ...memory, node: 'node-2' });
  t.is(readNodeMemory(folder).node, 'node-2');
});

const damaged: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['half a file', '{"node":"node-1","log":{"logId":"lo'],
  ['an array', '[]'],
  ['no node', '{"log":null}'],
  ['a node that is no id', '{"node":"../x","log":null}'],
  ['no log', '{"node":"node-1"}'],
  ['an empty identity', '{"node":"node-1","log":{"logId":"","kind":"redis"}}'],
  ['an unknown kind', '{"node":"node-1","log":{"logId":"log-1","kind":"kafka"}}'],
];

for (const [what, text] of damaged) {
  test(`a memory with ${what} is an error that names the file, and is left as it is`, async (t) => {
    const folder = await folderFor(t);
    const path = join(folder, 'node.json');
    await writeFile(path, text);
    const error = t.throws(() => readNodeMemory(folder));
    t.true(error.message.startsWith(`${path} is damaged`), error.message);
    t.is(await readFile(path, 'utf8'), text);
  });
}
