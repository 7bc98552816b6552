import { lockDirectory } from '../../src/log/directory-lock.ts';

/** Locks the folder of its first argument and holds it until it is killed or its input ends; says `locked`, or why not. */
try {
  const lock = await lockDirectory(process.argv[2] ?? '', 'the folder');
  process.stdout.write('locked\n');
  process.stdin.resume().once('end', () => {
    lock.release().then(() => process.exit(0));
  });
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
