import { type Option, type OptionName, optionNames, options } from './options.ts';

const defaultOf = (option: Option<unknown>): string => {
  if (option.defaultText !== undefined) return option.defaultText;
  const value = option.default;
  return value === null || (Array.isArray(value) && value.length === 0) ? 'none' : String(value);
};

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** The table of docs/configuration.md, one row per option. */
export const optionsMarkdown = (): string => {
  const rows = optionNames.map((name: OptionName) => {
    const { env, flag, kind, meaning, ...option } = options[name];
    const code = (text: string | null): string => (text === null ? '' : `\`${text}\``);
    return `| ${name} | ${code(env)} | ${code(flag)} | ${code(defaultOf({ env, flag, kind, meaning, ...option }))} | ${cell(kind.allowed)} | ${cell(meaning)} |`;
  });
  return [
    '| option | environment | flag | default | allowed | meaning |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
};

/** What `nexus start --help` prints. */
export const helpText = (): string => {
  const rows = optionNames.map((name) => {
    const option: Option<unknown> = options[name];
    const spellings = [option.flag, option.env].filter((spelling) => spelling !== null).join(', ');
    return [
      `  ${name}  (${spellings})`,
      `      ${option.meaning}`,
      `      allowed: ${option.kind.allowed}; default: ${defaultOf(option)}`,
    ].join('\n');
  });
  return [
    'Usage: nexus start [--flag value]…',
    '',
    'Flags over environment over nexus.config.json over defaults.',
    '',
    ...rows,
    '',
  ].join('\n');
};
