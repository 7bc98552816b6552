/*
 * A process that writes to an embedded log until it is killed or the log fails. It says each thing that it was told,
 * one line each, as soon as it was told:
 *
 *   ready                              the log is open
 *   a ID STREAM REVISION POSITION N    an append was acknowledged; N counts up per writer
 *   t STREAM BEFORE                    a truncation was acknowledged
 *   s EVENTS                           a scavenge ended
 *   r CODE                             an append was refused
 *   f CODE                             the log failed
 *   e                                  every writer has been told how its last append ended
 */

import { randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { asRevision, asStreamId, type NewEvent } from '../../domain/event.ts';
import { newId } from '../../src/ids.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import { type EventLog, LogError } from '../../src/log/event-log.ts';

export type WriterOptions = {
  readonly directory: string;
  readonly writers: number;
  readonly streams: number;
  readonly padBytes?: number;
  readonly flushEvents?: number;
  readonly watchdogMs?: number;
  readonly reserveBytes?: number;
  readonly noSync?: boolean;
  /** Also truncates the streams and scavenges, over and over. */
  readonly scavenges?: boolean;
};

const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};

const eventOf = (writer: number, n: number, pad: string): NewEvent => ({
  // Both kinds of ids: those that ascend, and those that the index must look up.
  id: writer % 2 === 0 ? newId() : randomUUID(),
  type: n % 5 === 0 ? 'Fifth' : 'Other',
  data: { writer, n, pad },
  metadata: { actor: 'local', correlationId: 'c', causationId: null, node: 'n', schema: 1 },
});

const write = async (log: EventLog, options: WriterOptions, writer: number): Promise<void> => {
  const pad = 'x'.repeat(options.padBytes ?? 50);
  for (let n = 0; ; n++) {
    const stream = asStreamId(`w${writer % 3}-${(writer + n) % options.streams}`);
    const event = eventOf(writer, n, pad);
    try {
      const result = await log.append(stream, [event], 'any');
      const [place] = result.ok ? result.events : [];
      if (place === undefined) throw new Error('an append to any revision was a conflict');
      say(`a ${event.id} ${stream} ${place.revision} ${place.position} ${n}`);
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      say(`r ${error.code}`);
      return;
    }
  }
};

const scavenge = async (log: EventLog, options: WriterOptions): Promise<void> => {
  try {
    for (let round = 0; ; round++) {
      for (let key = round % 2; key < options.streams; key += 2) {
        for (const kind of [0, 1, 2]) {
          const stream = asStreamId(`w${kind}-${key}`);
          const head = await log.head(stream);
          if (head === undefined) continue;
          const before = asRevision(Math.max(0, head.revision - 5));
          await log.truncate(stream, before);
          say(`t ${stream} ${before}`);
        }
      }
      say(`s ${(await log.scavenge()).events}`);
      await nextTurn();
    }
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
  }
};

const run = async (options: WriterOptions): Promise<void> => {
  const log = await openEmbeddedLog({
    ...options,
    onFailure: (error) => {
      process.exitCode = 1;
      say(`f ${error.code}`);
      process.stderr.write(`${error.message}\n`);
    },
  });
  say('ready');
  const work = Array.from({ length: options.writers }, (_, writer) => write(log, options, writer));
  if (options.scavenges) work.push(scavenge(log, options));
  await Promise.all(work);
  say('e');
};

const argument = process.argv[2];
if (argument !== undefined) await run(JSON.parse(argument));
