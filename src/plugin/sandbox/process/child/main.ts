import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import type ivm from 'isolated-vm';
import { type ChildHead, type FatalCause, maxParentFrameBytes, type ParentHead } from '../frames.ts';
import { createFrameWriter, FrameReader } from '../framing.ts';
import { type Cell, createCell } from './cell.ts';
import type { Runtime } from './isolate.ts';

/** A sandbox's own process. It has a pipe to the hub (descriptor 3) and nothing else; what it is told, the hub has made. */

const pipe = 3;
const progressMs = 5;
const watchMs = 50;
const measureMs = 5_000;

const [, , addonPath = '', guestPath = ''] = process.argv;
const addon: { readonly ivm: typeof ivm } = createRequire(import.meta.url)(addonPath);
const runtime: Runtime = { ivm: addon.ivm, source: readFileSync(guestPath, 'utf8') };

const socket = new Socket({ fd: pipe });
const out = createFrameWriter(socket);
const reader = new FrameReader(maxParentFrameBytes);
const cells = new Map<number, Cell>();
/** Ended while something ran in them, which has not ended yet: native code looks at no interrupt. */
const leaving = new Map<number, Cell>();
const moved = new Set<Cell>();
/** Plugins that are still to be loaded: one in each turn, so that the process gives signs of life in between. */
const loads = new Map<number, () => void>();
let ending = false;

const end = (): never => {
  // Threads that still run in an isolate would keep an orderly exit waiting.
  process.kill(process.pid, 'SIGKILL');
  return process.exit();
};
const fatal = (guest: number, cause: FatalCause, reason: string): void => {
  if (ending) return;
  ending = true;
  out.send({ type: 'fatal', guest, cause, reason } satisfies ChildHead);
  out.flush();
  setTimeout(end, 20);
};

const tellProgress = (): void => {
  for (const cell of moved) out.send(cell.progress());
  moved.clear();
};

const loadNext = (): void => {
  for (const [guest, load] of loads) {
    loads.delete(guest);
    load();
    break;
  }
  if (loads.size > 0) setImmediate(loadNext);
};

const load = ({ guest, name, version, limits }: ParentHead & { type: 'load' }, body: string): void => {
  const { code, config } = JSON.parse(body);
  const cell = createCell(
    { guest, name, version, limits, code, config },
    {
      out,
      runtime,
      moved(cell) {
        if (moved.size === 0) setTimeout(tellProgress, progressMs);
        moved.add(cell);
      },
      gone(number) {
        const left = cells.get(number);
        if (left !== undefined && left.watch.running() > 0) leaving.set(number, left);
        cells.delete(number);
      },
      fatal,
    },
  );
  cells.set(guest, cell);
};

const take = (head: ParentHead, body: string) => {
  if (head.type === 'ping') {
    const figures = [...cells].map(
      ([guest, cell]) => [guest, cell.heapBytes(), Math.round(cell.watch.cpuMs())] as const,
    );
    return out.send({ type: 'pong', id: head.id, figures } satisfies ChildHead);
  }
  if (head.type === 'load') {
    if (loads.set(head.guest, () => load(head, body)).size === 1) setImmediate(loadNext);
    return;
  }
  const cell = cells.get(head.guest);
  switch (head.type) {
    case 'call':
      return cell === undefined
        ? out.send(
            { type: 'fault', guest: head.guest, id: head.id, fault: 'gone' } satisfies ChildHead,
            '"it ended"',
          )
        : cell.call(head.id, head.target, body);
    case 'done':
      return cell?.done(head.id, head.code, body);
    case 'stop':
      loads.delete(head.guest);
      return cell === undefined
        ? out.send({ type: 'stopped', guest: head.guest } satisfies ChildHead)
        : cell.stop();
    case 'drop':
      loads.delete(head.guest);
      return cell?.drop();
  }
};

socket.on('data', (piece) => {
  reader.push(piece);
  for (let frame = reader.take(); frame !== undefined; frame = reader.take())
    take(frame.head as ParentHead, frame.body);
});
socket.on('end', end);
socket.on('close', end);
socket.on('error', end);
setInterval(() => {
  for (const [guest, { watch }] of cells) {
    const stuck = watch.stuck();
    if (stuck !== undefined) fatal(guest, stuck.cause, stuck.reason);
  }
  for (const [guest, { watch }] of leaving) {
    if (watch.running() === 0) leaving.delete(guest);
    else if (watch.stuck() !== undefined) fatal(guest, 'hang', 'what it ran went on after it was ended');
  }
}, watchMs);
setInterval(() => {
  for (const cell of cells.values()) cell.measure();
}, measureMs);
out.send({ type: 'up' } satisfies ChildHead);
