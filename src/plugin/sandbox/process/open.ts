import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { BoundedMap } from '../../../bounded-map.ts';
import type { Logger } from '../../../logger.ts';
import type { OpenSandboxProcess, ProcessExit, SandboxProcess, SandboxProcessOptions } from '../process.ts';
import type { Program } from '../sandbox.ts';
import { type ChildFiles, childFiles } from './files.ts';
import { type ChildHead, maxChildFrameBytes, type ParentHead, parseChildHead } from './frames.ts';
import { createFrameWriter, FrameReader } from './framing.ts';
import { createHostedGuest, type HostedGuest } from './guests.ts';
import { cpuMsOf, innerPid, isStopped, type Launch, launchOf, rssOf, spawnLaunch } from './launch.ts';
import { createStderr } from './stderr.ts';

/** A process that has not said that it is up after so long will not be. */
const startMs = 30_000;
const beatMs = 250;
const deadAfterMs = 1_500;
/** A tick that came so late says that this process was held up, not the child. */
const lateMs = 500;
/** A child that the machine lets have no processor is not dead yet: it is when it had this much, or after this long. */
const deadCpuMs = 250;
const starvedAfterMs = 6_000;
const rssMs = 100;
/** Of a process with no plugin in it, and what V8 needs beside the heaps that are limited. */
const baseBytes = 201_326_592;
const mib = 1_048_576;
/** Beyond what the child itself lets an isolate run. */
const stallGraceMs = 5_000;
const closeMs = 1_000;
/** For so long one child is heard, with what comes of it at once, before others have their turn. */
const turnMs = 4;
const maxLeftNames = 100;

type Judged = Omit<ProcessExit, 'running'>;

const exitReason = (code: number | null, signal: NodeJS.Signals | null, stderr: string): Judged => {
  const tail = stderr === '' ? '' : `: ${stderr}`;
  const outOfMemory = /out of memory|allocation failed|invalid (?:table|array|string) (?:size|length)/i.test(
    stderr,
  );
  return {
    cause: outOfMemory ? 'memory' : 'crash',
    reason: `the process ended with ${signal ?? `code ${code}`}${tail}`.slice(0, 1_000),
    culprits: [],
  };
};

/** The first time in this process, for the log. */
let told: string | undefined;
const tell = (logger: Logger, launch: Launch & { readonly why: string }): void => {
  const line = `${launch.isolation} ${launch.why}`;
  if (told === line) return;
  told = line;
  const facts = { isolation: launch.isolation, reason: launch.why };
  if (launch.isolation === 'bubblewrap') logger.info(facts, 'plugins run under bubblewrap');
  else
    logger.warn(facts, 'plugins run in processes without bubblewrap: the network is not closed to a process');
};

const pipeOf = (child: ChildProcess): Duplex => {
  const pipe = child.stdio[3];
  if (!(pipe instanceof Duplex)) throw new Error('the child process has no pipe');
  return pipe;
};

export const openSandboxProcess: OpenSandboxProcess = async (options) =>
  openProcess(options, await childFiles());

/** The same of whatever program is the child. */
export const openProcess = async (
  { isolation, jitless, logger }: SandboxProcessOptions,
  files: ChildFiles,
): Promise<SandboxProcess> => {
  const launch = await launchOf(isolation, files, jitless);
  const child = spawnLaunch(launch, [files.child, files.addon, files.guest]);
  // Too many processes or open files are told of in a later turn, and without a listener that would end the hub.
  await once(child, 'spawn');
  const exit = Promise.withResolvers<ProcessExit>();
  const up = Promise.withResolvers<void>();
  const guests = new Map<number, HostedGuest>();
  /** What a guest ran may go on for a while after it was ended. */
  const leftNames = new BoundedMap<number, string>(maxLeftNames);
  const stderr = createStderr(child, logger);
  let last = 0;
  let pid = child.pid ?? 0;
  let judged: Judged | undefined;
  let over = false;
  let rss = 0;
  let lastPong = performance.now();
  let lastBeat = performance.now();
  let pongCpuMs = 0;
  let pings = 0;
  let ponged = 0;

  const kill = (judgement: Judged) => {
    judged ??= judgement;
    try {
      if (pid > 0 && pid !== child.pid && !over) process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
    child.kill('SIGKILL');
  };
  const broken = (reason: string) =>
    kill({ cause: 'crash', reason: `its process was ended: ${reason}`, culprits: [] });
  const namesOf = (numbers: readonly number[]): string[] =>
    numbers.flatMap((number) => guests.get(number)?.guest.program.name ?? leftNames.get(number) ?? []);
  const running = (): string[] =>
    [...guests.values()].filter((one) => one.isRunning()).map((one) => one.guest.program.name);

  const settle = (code: number | null, signal: NodeJS.Signals | null): void => {
    if (over) return;
    over = true;
    clearInterval(beats);
    clearInterval(polls);
    const found = judged ?? exitReason(code, signal, stderr.tail());
    const ended: ProcessExit = { ...found, running: running() };
    const cause = ended.cause === 'closed' ? 'sibling' : ended.cause;
    for (const hosted of guests.values()) hosted.answerAll(ended.reason);
    exit.resolve(ended);
    for (const hosted of [...guests.values()]) {
      const { name } = hosted.guest.program;
      const culprit = ended.culprits.includes(name);
      hosted.end({
        cause: culprit || ended.running.includes(name) ? cause : 'sibling',
        reason: ended.reason,
        culprit,
      });
    }
    logger.debug({ pid, cause: ended.cause, reason: ended.reason }, 'a sandbox process has ended');
    up.reject(new Error(`the sandbox process did not start: ${ended.reason}`));
  };

  const pipe = pipeOf(child);
  const out = createFrameWriter(pipe);
  const reader = new FrameReader(maxChildFrameBytes);
  const take = (head: ChildHead, body: string) => {
    if (head.type === 'up') return up.resolve();
    if (head.type === 'pong') {
      if (head.id <= ponged || head.id > pings) return broken('it answers pings that there were not');
      ponged = head.id;
      lastPong = performance.now();
      for (const [number, heapBytes, cpuMs] of head.figures) guests.get(number)?.figures(heapBytes, cpuMs);
      return;
    }
    if (head.type === 'fatal') {
      return kill({ cause: head.cause, reason: head.reason, culprits: namesOf([head.guest]) });
    }
    const hosted = guests.get(head.guest);
    if (hosted === undefined && head.guest > last) return broken('it names a plugin that it does not hold');
    const wrong = hosted?.take(head, body);
    if (wrong !== undefined) {
      kill({ cause: 'crash', reason: `its process was ended: ${wrong}`, culprits: namesOf([head.guest]) });
    }
  };
  /** When the hub began to hear it in this turn of the event loop; undefined in one in which it has not. */
  let turnFrom: number | undefined;
  /** What was said is heard later: after what the last wish has set off, or in the next turn. */
  let waits = false;
  const isTurnOver = (): boolean => {
    if (turnFrom === undefined) {
      turnFrom = performance.now();
      setImmediate(() => {
        turnFrom = undefined;
      });
    }
    return performance.now() - turnFrom > turnMs;
  };
  const hearOn = (): void => {
    waits = false;
    // It is no silence of the child's when the hub does not listen.
    lastPong = performance.now();
    hear();
    if (!waits) pipe.resume();
  };
  /** What a child says is heard in turns: a flood of it must not keep the hub from everything else. */
  const hear = (): void => {
    try {
      while (judged === undefined) {
        if (isTurnOver()) {
          waits = true;
          pipe.pause();
          setImmediate(hearOn);
          return;
        }
        const frame = reader.take();
        if (frame === undefined) return;
        const said = parseChildHead(frame.head);
        if (said === undefined) broken('it said what no child says');
        else take(said, frame.body);
        if (said?.type === 'wish') {
          // Ticks come when all that the wish does at once is done: that counts as time of this turn.
          waits = true;
          process.nextTick(hearOn);
          return;
        }
      }
    } catch (error) {
      broken(error instanceof Error ? error.message : `${error}`);
    }
  };
  pipe.on('data', (piece: Buffer) => {
    if (judged !== undefined) return;
    reader.push(piece);
    if (!waits) hear();
  });
  // What it means stands in the exit that follows.
  pipe.on('error', () => {});
  child.once('error', (error) => {
    judged ??= { cause: 'crash', reason: `it could not be started: ${error.message}`, culprits: [] };
    settle(null, null);
  });
  child.once('exit', (code, signal) => {
    // Whatever was written before the end is still to be read.
    const late = setTimeout(settle, closeMs, code, signal);
    child.once('close', () => {
      clearTimeout(late);
      settle(code, signal);
    });
  });

  const beat = (): void => {
    const now = performance.now();
    if (now - lastBeat > lateMs) lastPong = now;
    lastBeat = now;
    out.send({ type: 'ping', id: ++pings } satisfies ParentHead);
    const silentMs = now - lastPong;
    if (silentMs < 2 * beatMs) pongCpuMs = cpuMsOf(pid);
    const dead = () => cpuMsOf(pid) - pongCpuMs >= deadCpuMs || isStopped(pid);
    if (silentMs > starvedAfterMs || (silentMs > deadAfterMs && dead())) {
      kill({ cause: 'hang', reason: `it gave no sign of life for ${Math.round(silentMs)} ms`, culprits: [] });
    }
    for (const hosted of guests.values()) {
      const { name, limits } = hosted.guest.program;
      if (hosted.stalledMs(now) > 4 * Math.max(...cpuLimits()) + 2 * limits.timeoutMs + stallGraceMs) {
        kill({ cause: 'hang', reason: 'what it runs does not end', culprits: [name] });
      }
    }
  };
  const cpuLimits = (): number[] =>
    [...guests.values()].map(({ guest }) => Math.max(guest.program.limits.cpuMsPerCall, 2_500));
  const poll = (): void => {
    rss = rssOf(pid);
    let capBytes = baseBytes;
    for (const { guest } of guests.values()) capBytes += guest.program.limits.memoryMb * mib;
    if (rss <= capBytes) return;
    const [rssMb, capMb] = [rss, capBytes].map((bytes) => Math.round(bytes / mib));
    kill({ cause: 'memory', reason: `its process took ${rssMb} MB, of ${capMb} at most`, culprits: [] });
  };
  let beats: NodeJS.Timeout | undefined;
  let polls: NodeJS.Timeout | undefined;
  const opening = setTimeout(
    () => kill({ cause: 'hang', reason: `it was not up after ${startMs} ms`, culprits: [] }),
    startMs,
  );
  try {
    await up.promise;
  } finally {
    clearTimeout(opening);
  }
  pid = innerPid(launch, pid);
  tell(logger, launch);
  lastPong = lastBeat = performance.now();
  beats = setInterval(beat, beatMs).unref();
  polls = setInterval(poll, rssMs).unref();

  const load = (program: Program, host: Parameters<SandboxProcess['load']>[1]) => {
    const number = ++last;
    const hosted = createHostedGuest(number, program, host, {
      send: (head, body) => out.send(head, body),
      pendingBytes: out.pendingBytes,
      pid,
      left() {
        guests.delete(number);
        leftNames.set(number, program.name);
      },
    });
    if (over || judged !== undefined) {
      hosted.end({ cause: 'sibling', reason: 'the process has ended', culprit: false });
    } else guests.set(number, hosted);
    return hosted.loaded;
  };
  return {
    pid,
    isolation: launch.isolation,
    load,
    count: () => guests.size,
    rssBytes: () => rss,
    kill: (reason) => kill({ cause: 'closed', reason, culprits: [] }),
    async close(graceMs) {
      await Promise.all([...guests.values()].map(({ guest }) => guest.stop(graceMs)));
      judged ??= { cause: 'closed', reason: 'it was closed', culprits: [] };
      pipe.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), closeMs);
      await exit.promise;
      clearTimeout(timer);
    },
    exited: exit.promise,
  };
};
