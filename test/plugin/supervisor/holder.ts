import { ask, openReal, pid } from './real.ts';

/** A program that holds plugins, one of which never answers, and tells where they stand; it is there to be killed. */
const { start } = openReal();
const [normal, low] = await Promise.all([start('normal'), start('low', { trust: 'low' })]);
void ask(normal.guest, 'never');
process.stdout.write(`${JSON.stringify([pid(normal.guest), pid(low.guest)])}\n`);
setInterval(() => {}, 1_000);
