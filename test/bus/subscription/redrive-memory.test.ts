import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { isLong } from '../../support/skip.ts';
import { newFolder } from './support.ts';

/** 20,000 in the suite; NEXUS_LONG=1 makes it 100,000. */
const total = isLong ? 100_000 : 20_000;
const payloadBytes = 1_024;
const program = join(import.meta.dirname, '../fixtures/redrive-memory.ts');

type Result = Readonly<
  Record<'deliveries' | 'more' | 'lost' | 'twice' | 'deadLetters' | 'lagEvents', number>
> & {
  readonly done: { readonly done: number };
  /** Before the redrive, and the most during it. */
  readonly anonMiB: readonly [number, number];
  readonly liveMiB: readonly [number, number];
  readonly seconds: readonly number[];
};

test(`${total} dead letters of 1 KiB redriven › none is lost, none comes twice, and memory is bounded`, async (t) => {
  t.timeout(20 * 60_000);
  const args = [
    '--expose-gc',
    '--max-old-space-size=256',
    program,
    await newFolder(t),
    total,
    payloadBytes,
  ].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const result = JSON.parse(stdout) as Result;
  t.like(result, {
    done: { done: total },
    deliveries: total,
    more: 0,
    lost: 0,
    twice: 0,
    deadLetters: 0,
    lagEvents: 0,
    inFlight: 0,
  });
  const { anonMiB, liveMiB, seconds } = result;
  t.log(
    `RssAnon ${anonMiB[0]} MiB before, at most ${anonMiB[1]} MiB; live heap ${liveMiB[0]}, at most ${liveMiB[1]} MiB`,
  );
  t.log(`seconds to publish, to let die, to redrive and take: ${seconds.join(', ')}`);
  // 256 letters wait at a time; the whole of them would be 40 MiB, or 200.
  t.true(liveMiB[1] - liveMiB[0] < 24);
  t.true(anonMiB[1] - anonMiB[0] < 256);
});
