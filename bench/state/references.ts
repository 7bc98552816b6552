import { Etcd3 } from 'etcd3';
import { rawClient } from '../support/redis.ts';
import type { ClientTarget, Store } from './store.ts';

/** etcd through `etcd3`, the client from npm. */
export const openEtcdStore = async ({ url }: ClientTarget): Promise<Store> => {
  const client = new Etcd3({ hosts: url });
  const revisions = new Map<string, string>();
  return {
    put: async (key, value) => client.put(key).value(value),
    async cas(key, value) {
      const { succeeded, header } = await client
        .if(key, 'Mod', '==', Number(revisions.get(key)))
        .then(client.put(key).value(value))
        .commit();
      if (!succeeded) throw new Error(`${key} has changed`);
      revisions.set(key, header.revision);
    },
    async learn(key) {
      const { kvs } = await client.get(key).exec();
      revisions.set(key, kvs[0]?.mod_revision ?? '0');
    },
    get: (key) => client.get(key).json(),
    list: (prefix) => client.getAll().prefix(prefix).limit(100).json(),
    // A transaction of at most 128 operations is what the server takes unless it is told otherwise.
    fill: async (entries) => {
      for (let from = 0; from < entries.length; from += 100) {
        const puts = entries.slice(from, from + 100).map(([key, value]) => client.put(key).value(value));
        await client
          .if('bench', 'Version', '==', 0)
          .then(...puts)
          .commit();
      }
    },
    watch: async (key, onValue) => {
      const watcher = await client.watch().key(key).create();
      watcher.on('put', ({ value }) => onValue(value.toString()));
    },
    close: async () => client.close(),
  };
};

const casScript =
  "if redis.call('get', KEYS[1]) ~= ARGV[1] then return redis.error_reply('changed') end return redis.call('set', KEYS[1], ARGV[2])";

/** Redis through ioredis, auto-pipelined over one connection. It has no order of keys: a list asks for 100 known ones. */
export const openRedisStore = async ({ url }: ClientTarget): Promise<Store> => {
  const client = await rawClient(url);
  const values = new Map<string, string>();
  return {
    put: (key, value) => client.set(key, value),
    async cas(key, value) {
      await client.eval(casScript, 1, key, values.get(key) ?? '', value);
      values.set(key, value);
    },
    async learn(key) {
      values.set(key, (await client.get(key)) ?? '');
    },
    get: async (key) => JSON.parse((await client.get(key)) ?? 'null'),
    list: async (prefix) => {
      const keys = Array.from({ length: 100 }, (_, index) => prefix + String(index).padStart(2, '0'));
      return (await client.mget(keys)).map((value) => JSON.parse(value ?? 'null'));
    },
    fill: (entries) => client.mset(Object.fromEntries(entries)),
    watch: undefined,
    close: async () => client.disconnect(),
  };
};
