import test from 'ava';
import { appendCases } from './contract/append.ts';
import { appendAllCases } from './contract/append-all.ts';
import { duplicateCases } from './contract/duplicates.ts';
import type { Capabilities, Case, OpenLog } from './contract/fixture.ts';
import { lifeCases } from './contract/life.ts';
import { readCases } from './contract/read.ts';
import { truncateCases } from './contract/truncate.ts';
import { watchCases } from './contract/watch.ts';

export type { Capabilities, OpenedLog, OpenLog } from './contract/fixture.ts';

/**
 * Registers the tests that every adapter of the log port must pass, each titled with the adapter's `name`.
 * `open` runs once per test and may give each its own log or share one: the tests use streams and categories of
 * their own and never look at what is not theirs.
 */
export const contractSuite = (name: string, open: OpenLog, capabilities: Capabilities): void => {
  const register: Case = (title, body) => {
    test(`${name} › ${title}`, async (t) => {
      const opened = await open(t);
      if (opened === undefined) return;
      try {
        await body(t, opened.log, opened);
      } finally {
        await opened.close();
      }
    });
  };
  for (const [capability, has] of Object.entries(capabilities)) {
    if (!has) test(`${name} › declares: not ${capability}`, (t) => t.pass());
  }
  appendCases(register);
  appendAllCases(register, capabilities);
  duplicateCases(register);
  readCases(register, capabilities);
  watchCases(register);
  truncateCases(register, capabilities);
  lifeCases(register);
};
