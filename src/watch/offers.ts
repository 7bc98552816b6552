import type { LogEvent, Position } from '../../domain/event.ts';

/** What another node has read from the log behind `previous`: all of it up to the last of `events`, in log order. */
export type Offer = { readonly previous: Position; readonly events: readonly LogEvent[] };

export type OffersOptions = { readonly maxEvents: number; readonly maxBytes: number };

/** Offers that came before what stands between them and the hub's position: bounded, the oldest to come goes first. */
export type Offers = {
  readonly events: number;
  readonly bytes: number;
  hold(offer: Offer): void;
  /** Takes out the events of one that begins at or before `position` and ends behind it; forgets those that end before. */
  take(position: Position): readonly LogEvent[] | undefined;
};

type Held = Offer & { readonly last: Position; readonly bytes: number };

export const createOffers = (
  { maxEvents, maxBytes }: OffersOptions,
  weigh: (event: LogEvent) => number,
): Offers => {
  let held: Held[] = [];
  let events = 0;
  let bytes = 0;

  const forget = (offer: Held): void => {
    events -= offer.events.length;
    bytes -= offer.bytes;
  };

  return {
    get events() {
      return events;
    },
    get bytes() {
      return bytes;
    },
    hold(offer) {
      const last = offer.events.at(-1)?.position;
      if (last === undefined || offer.events.length > maxEvents) return;
      const size = offer.events.reduce((sum, event) => sum + weigh(event), 0);
      if (size > maxBytes) return;
      held.push({ ...offer, last, bytes: size });
      events += offer.events.length;
      bytes += size;
      while (events > maxEvents || bytes > maxBytes) {
        const oldest = held.shift();
        if (oldest === undefined) return;
        forget(oldest);
      }
    },
    take(position) {
      if (held.length === 0) return undefined;
      let taken: Held | undefined;
      const kept: Held[] = [];
      for (const offer of held) {
        if (offer.last <= position) forget(offer);
        else if (taken === undefined && offer.previous <= position) {
          taken = offer;
          forget(offer);
        } else kept.push(offer);
      }
      held = kept;
      return taken?.events;
    },
  };
};
