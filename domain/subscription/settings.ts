import { sameJson } from '../json.ts';
import type { SubscriptionSettings } from './subscription.ts';

type Name = keyof SubscriptionSettings;

/** `settings` with `changes` over it. Only a subscription's own settings are taken, whatever else the record holds. */
export const withSettings = (
  settings: SubscriptionSettings,
  changes: Partial<SubscriptionSettings>,
): SubscriptionSettings => ({
  topic: changes.topic ?? settings.topic,
  ackWaitMs: changes.ackWaitMs ?? settings.ackWaitMs,
  maxDeliver: changes.maxDeliver ?? settings.maxDeliver,
  backoffMs: changes.backoffMs ?? settings.backoffMs,
  maxInFlight: changes.maxInFlight ?? settings.maxInFlight,
  order: changes.order ?? settings.order,
});

/** A subscription's own settings, picked from a wider record. */
export const settingsOf = (record: SubscriptionSettings): SubscriptionSettings => withSettings(record, {});

/** The settings of `wanted` that differ; undefined when none does. */
export const changedSettings = (
  settings: SubscriptionSettings,
  wanted: SubscriptionSettings,
): Partial<SubscriptionSettings> | undefined => {
  const before = settingsOf(settings);
  const names = (Object.keys(before) as Name[]).filter((name) => !sameJson(before[name], wanted[name]));
  if (names.length === 0) return undefined;
  return Object.fromEntries(names.map((name) => [name, wanted[name]]));
};
