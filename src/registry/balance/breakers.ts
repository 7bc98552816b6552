import type { OpenCircuit } from '../../../projections/documents.ts';
import type { Clock } from '../../clock.ts';
import type { Schedule } from '../schedule.ts';
import type { Candidate } from './candidate.ts';
import { faultOf, longestOpenMs, maxOpen, nextOpening, openMs, trialsToClose } from './circuit.ts';
import type { CircuitChange } from './circuit-writes.ts';
import { sizeOf, standings } from './pool.ts';
import { balancingOf } from './services.ts';
import { forgetCalls, type Stats } from './stats.ts';

/** Opens and closes circuits: here at once, for the other nodes by an event. */
export type Breakers = {
  /** A call to an instance with a closed circuit has failed. @param startedMs by the steady clock. */
  failed(candidate: Candidate, reason: string, startedMs: number): void;
  /** A call is sent that tries an instance. */
  tries(candidate: Candidate): void;
  /** That call has ended; undefined: it has shown nothing. */
  tried(candidate: Candidate, good: boolean | undefined, reason: string): void;
  /** The instance's document has another circuit than before: some node, or this one, has written it. */
  recorded(candidate: Candidate, before: OpenCircuit | null, after: OpenCircuit | null): void;
  forget(candidate: Candidate): void;
};

export type BreakersOptions = {
  readonly clock: Clock;
  /** Milliseconds since 1970: what the ends of openings are told in. */
  readonly timeOfDay: () => number;
  readonly schedule: Schedule;
  readonly stats: Stats;
  readonly random: () => number;
  readonly onChange: (candidate: Candidate) => void;
  readonly write: (candidate: Candidate, change: CircuitChange) => void;
};

const maxReason = 256;

export const createBreakers = (options: BreakersOptions): Breakers => {
  const { clock, timeOfDay, schedule, stats, random, onChange, write } = options;

  const openFor = (candidate: Candidate, durationMs: number): void => {
    const { circuit } = candidate;
    const atMs = clock.now() + durationMs;
    circuit.open = true;
    circuit.due = durationMs <= 0;
    circuit.goodTrials = 0;
    const ring = (): void => {
      circuit.due = true;
      onChange(candidate);
    };
    if (circuit.alarm === undefined) circuit.alarm = schedule.alarm(atMs, ring);
    else circuit.alarm.move(atMs);
    onChange(candidate);
  };

  const open = (candidate: Candidate, reason: string): void => {
    const { circuit } = candidate;
    circuit.openings = nextOpening(circuit, clock.now());
    const durationMs = openMs(circuit.openings, random());
    circuit.untilMs = timeOfDay() + durationMs;
    openFor(candidate, durationMs);
    const until = new Date(circuit.untilMs).toISOString();
    write(candidate, { to: 'open', reason: reason.slice(0, maxReason), until });
  };

  const close = (candidate: Candidate): void => {
    const { circuit } = candidate;
    circuit.open = false;
    circuit.due = false;
    circuit.closedAtMs = clock.now();
    circuit.alarm?.cancel();
    forgetCalls(stats, candidate.row);
    onChange(candidate);
  };

  const mayOpen = ({ service }: Candidate): boolean => {
    const { all } = service;
    const openNow = sizeOf(all, standings.trial) + sizeOf(all, standings.ejected);
    return openNow < maxOpen(all.members.length, balancingOf(service).maxEjectedPercent);
  };

  return {
    failed(candidate, reason, startedMs) {
      const { circuit, row } = candidate;
      // What was sent before the circuit closed says nothing about the time since.
      if (circuit.open || startedMs < circuit.closedAtMs) return;
      const fault = faultOf(stats, row);
      if (fault !== undefined && mayOpen(candidate)) open(candidate, `${fault}, the last: ${reason}`);
    },

    tries(candidate) {
      candidate.circuit.trying = true;
      onChange(candidate);
    },

    tried(candidate, good, reason) {
      const { circuit } = candidate;
      circuit.trying = false;
      // Another node may have closed it, or opened it for longer, meanwhile.
      if (!circuit.open || !circuit.due) return onChange(candidate);
      if (good === false) return open(candidate, `a trial failed: ${reason}`);
      if (good === true) circuit.goodTrials++;
      if (circuit.goodTrials < trialsToClose) return onChange(candidate);
      close(candidate);
      write(candidate, { to: 'closed', reason: `${trialsToClose} good trials in a row` });
    },

    recorded(candidate, before, after) {
      const { circuit } = candidate;
      if (after !== null) {
        const untilMs = Date.parse(after.until);
        // Not later than what is known here: it is this node's own event, or an older one.
        if (!(untilMs > circuit.untilMs)) return;
        circuit.openings = Math.max(circuit.openings, after.openings);
        circuit.untilMs = untilMs;
        openFor(candidate, Math.min(Math.max(untilMs - timeOfDay(), 0), longestOpenMs));
      } else if (before !== null && circuit.open && Date.parse(before.until) >= circuit.untilMs) {
        // An opening of this node that is not in the log yet outlives the closing of an earlier one.
        close(candidate);
      }
    },

    forget({ circuit }) {
      circuit.alarm?.cancel();
    },
  };
};
