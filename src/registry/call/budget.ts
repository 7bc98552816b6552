import { BoundedMap } from '../../bounded-map.ts';

/**
 * How many calls of a service may be repeated: 20 % of those of the last 10 s, and 10 a second beside them. Without a bound,
 * repeating multiplies the load of a service just when it cannot bear it (Finagle's RetryBudget).
 */
export type RetryBudget = {
  /** A call, not a repetition of one, begins. */
  deposit(service: string): void;
  /** True when there is room for a repetition. */
  allows(service: string): boolean;
  spend(service: string): void;
};

const share = 0.2;
const windowSec = 10;
const reserve = 10 * windowSec;
const maxServices = 10_000;

/** What was put in less what was taken out, by second: the slot of a second holds what stands for it. */
type Account = { readonly slots: Float64Array; newestSec: number; balance: number };

/** @param nowMs steady. */
export const createRetryBudget = (nowMs: () => number): RetryBudget => {
  const accounts = new BoundedMap<string, Account>(maxServices);

  const accountOf = (service: string): Account => {
    const sec = Math.floor(nowMs() / 1_000);
    let account = accounts.get(service);
    if (account === undefined) {
      account = { slots: new Float64Array(windowSec), newestSec: sec, balance: 0 };
      accounts.set(service, account);
    }
    const passed = Math.min(sec - account.newestSec, windowSec);
    for (let step = 1; step <= passed; step++) {
      const slot = (account.newestSec + step) % windowSec;
      account.balance -= account.slots[slot] ?? 0;
      account.slots[slot] = 0;
    }
    account.newestSec = Math.max(sec, account.newestSec);
    return account;
  };

  const add = (service: string, amount: number): void => {
    const account = accountOf(service);
    const slot = account.newestSec % windowSec;
    account.slots[slot] = (account.slots[slot] ?? 0) + amount;
    account.balance += amount;
  };

  return {
    deposit: (service) => add(service, share),
    allows: (service) => reserve + accountOf(service).balance >= 1,
    spend: (service) => add(service, -1),
  };
};
