import { setTimeout as delay } from 'node:timers/promises';

/** Resolves once `holds` does. For what tells nobody that it has happened; the test's own time limit ends it. */
export const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await delay(10);
};
