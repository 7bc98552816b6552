import type { PluginMetrics } from '../../nexus-plugins.ts';
import type { CallAnswer, GuestMetrics, LimitName } from '../sandbox/sandbox.ts';

/** What became of a plugin's calls, in all and in the last minute. */
export type Stats = {
  answered(answer: CallAnswer, durationMs: number): void;
  /** An answer that was counted as one could not be used. */
  unusable(): void;
  wished(): void;
  refused(operation: string): void;
  limited(limit: LimitName): void;
  /** In the last minute. */
  recent(): { readonly calls: number; readonly failures: number };
  metrics(guest: GuestMetrics | undefined): PluginMetrics;
};

const slotMs = 10_000;
const slotsInMinute = 6;
/** Operations come from the guest: so many names are counted, the others together. */
const maxNames = 64;

/** Durations in steps of a fifth from 10 µs on: the last one holds all above 40 s. */
const steps = 84;
const lowestMs = 0.01;
const growth = Math.log(1.2);
const stepOf = (ms: number): number =>
  Math.max(0, Math.min(steps - 1, Math.ceil(Math.log(Math.max(ms, lowestMs) / lowestMs) / growth)));
const durationOf = (step: number): number => Math.round(lowestMs * 1.2 ** step * 1_000) / 1_000;

type Slot = { readonly startMs: number; calls: number; failures: number; readonly byStep: Uint32Array };

/** What came while the plugin was away, or had too much to do, says nothing about its code. */
const isFailure = (answer: CallAnswer): boolean =>
  !answer.ok && answer.fault !== 'overloaded' && answer.fault !== 'gone';

const quantileOf = (slots: readonly Slot[], share: number): number | null => {
  const calls = slots.reduce((sum, slot) => sum + slot.calls, 0);
  if (calls === 0) return null;
  let left = Math.ceil(calls * share);
  for (let step = 0; step < steps; step++) {
    left -= slots.reduce((sum, { byStep }) => sum + (byStep[step] ?? 0), 0);
    if (left <= 0) return durationOf(step);
  }
  return durationOf(steps - 1);
};

const createCounts = () => {
  const counts = new Map<string, number>();
  return {
    add(name: string): void {
      const known = counts.has(name) || counts.size < maxNames ? name.slice(0, 64) : 'other';
      counts.set(known, (counts.get(known) ?? 0) + 1);
    },
    all: (): Readonly<Record<string, number>> => Object.fromEntries(counts),
  };
};

/** @param now ms. */
export const createStats = (now: () => number): Stats => {
  const slots: Slot[] = [];
  const failures = createCounts();
  const refusals = createCounts();
  const limits = createCounts();
  let calls = 0;
  let wishes = 0;

  const recentSlots = (): readonly Slot[] => {
    const oldestMs = now() - slotMs * slotsInMinute;
    while (slots[0] !== undefined && slots[0].startMs < oldestMs) slots.shift();
    return slots;
  };

  const slotNow = (): Slot => {
    const startMs = Math.floor(now() / slotMs) * slotMs;
    const newest = slots.at(-1);
    if (newest !== undefined && newest.startMs >= startMs) return newest;
    recentSlots();
    const slot: Slot = { startMs, calls: 0, failures: 0, byStep: new Uint32Array(steps) };
    slots.push(slot);
    return slot;
  };

  return {
    answered(answer, durationMs) {
      const slot = slotNow();
      const step = stepOf(durationMs);
      calls += 1;
      slot.calls += 1;
      slot.byStep[step] = (slot.byStep[step] ?? 0) + 1;
      if (answer.ok) return;
      failures.add(answer.fault);
      if (isFailure(answer)) slot.failures += 1;
    },
    unusable() {
      failures.add('unusable');
      slotNow().failures += 1;
    },
    wished() {
      wishes += 1;
    },
    refused: refusals.add,
    limited: limits.add,
    recent() {
      const recent = recentSlots();
      return {
        calls: recent.reduce((sum, slot) => sum + slot.calls, 0),
        failures: recent.reduce((sum, slot) => sum + slot.failures, 0),
      };
    },
    metrics: (guest) => ({
      calls,
      failures: failures.all(),
      wishes,
      refused: refusals.all(),
      limited: limits.all(),
      restarts: guest?.restarts ?? 0,
      heapBytes: guest?.heapBytes ?? 0,
      cpuMs: guest?.cpuMs ?? 0,
      p50Ms: quantileOf(recentSlots(), 0.5),
      p99Ms: quantileOf(recentSlots(), 0.99),
    }),
  };
};
