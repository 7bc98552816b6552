// Each command loads what it needs and no more: the hub starts as fast as if there were no others, and they without it.
const [name, ...argv] = process.argv.slice(2);
if (name === 'start') {
  const { start } = await import('./start.ts');
  start(argv);
} else {
  const { runCommand } = await import('./cli/cli.ts');
  process.exitCode = await runCommand(name, argv);
}

export {};
