import type { Redis } from 'ioredis';
import type { Durability } from '../event-log.ts';

export const unreached: Durability = {
  durable: false,
  note: 'unknown: the Redis server has not been reached yet',
};

const names = [
  'appendonly',
  'appendfsync',
  'no-appendfsync-on-rewrite',
  'maxmemory-policy',
  'maxmemory',
] as const;
type Name = (typeof names)[number];

const setting = async (redis: Redis, name: Name): Promise<string> => {
  const reply: unknown = await redis.config('GET', name);
  const value: unknown = Array.isArray(reply) ? reply[1] : undefined;
  return typeof value === 'string' ? value : '';
};

const weaknessOf = (settings: Readonly<Record<Name, string>>): string | undefined => {
  if (settings.appendonly !== 'yes') {
    return 'appendonly no: a restart of Redis loses what was acknowledged since its last snapshot';
  }
  if (settings.appendfsync !== 'always') {
    return `appendfsync ${settings.appendfsync}: a power cut may lose what was acknowledged in the last seconds`;
  }
  if (settings['no-appendfsync-on-rewrite'] === 'yes') {
    return 'no-appendfsync-on-rewrite yes: a power cut during a rewrite of the AOF may lose what was acknowledged';
  }
  if (settings['maxmemory-policy'].startsWith('allkeys') && settings.maxmemory !== '0') {
    return `maxmemory-policy ${settings['maxmemory-policy']}: Redis deletes parts of the log when its memory is full`;
  }
  return undefined;
};

/** What the server's settings promise. A server that does not tell is not taken for a durable one. */
export const readDurability = async (redis: Redis): Promise<Durability> => {
  try {
    const values = await Promise.all(names.map((name) => setting(redis, name)));
    const settings = Object.fromEntries(names.map((name, index) => [name, values[index] ?? ''])) as Record<
      Name,
      string
    >;
    const weakness = weaknessOf(settings);
    if (weakness !== undefined) return { durable: false, note: weakness };
    return {
      durable: true,
      note: 'appendfsync always: every acknowledged append is on the disk of the Redis server',
    };
  } catch (error) {
    // Managed servers refuse CONFIG. A lost connection must fail the handshake instead.
    if (!(error instanceof Error) || error.name !== 'ReplyError') throw error;
    return {
      durable: false,
      note: 'unknown: the Redis server does not tell its appendfsync (CONFIG GET is refused)',
    };
  }
};
