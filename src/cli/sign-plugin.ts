import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JWK } from 'jose';
import { type PluginFiles, readFolder, signatureFile } from '../plugin/host/folder.ts';
import { type Action, CallFailed, type Invocation, textOf, UsageError } from './command.ts';

const filesOf = async ({ words: [folder = ''] }: Invocation): Promise<PluginFiles> => {
  const read = await readFolder(folder);
  if (!read.ok) throw new CallFailed(read.problem.detail);
  return read.value;
};

/** PKCS #8 in PEM, or a JWK. @throws {UsageError} */
const keyIn = async (file: string): Promise<KeyObject> => {
  try {
    const text = await readFile(file, 'utf8');
    const key = text.trimStart().startsWith('{')
      ? createPrivateKey({ key: JSON.parse(text) as JWK, format: 'jwk' })
      : createPrivateKey(text);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (error) {
    throw new UsageError(`--key: ${file} cannot be read as a private key`, { cause: error });
  }
  throw new UsageError(`--key: ${file} holds no Ed25519 key`);
};

export const hashPlugin: Action = {
  usage: 'FOLDER',
  summary: 'prints the hash of what the folder holds',
  words: [1, 1],
  options: {},
  async run(invocation) {
    const { hash } = await filesOf(invocation);
    const { json, output } = invocation;
    await output.line(json ? JSON.stringify({ hash }) : hash);
  },
};

export const signPlugin: Action = {
  usage: 'FOLDER --key FILE',
  summary: `writes ${signatureFile}: the hash signed with an Ed25519 private key (PEM or JWK)`,
  words: [1, 1],
  options: { key: { type: 'string' } },
  async run(invocation) {
    const file = textOf(invocation, 'key');
    if (file === undefined) throw new UsageError('--key is missing: the file of an Ed25519 private key');
    const [key, { hash }] = [await keyIn(file), await filesOf(invocation)];
    const {
      json,
      output,
      words: [folder = ''],
    } = invocation;
    const path = join(folder, signatureFile);
    await writeFile(`${path}.new`, `${sign(null, Buffer.from(hash), key).toString('base64url')}\n`);
    await rename(`${path}.new`, path);
    await output.line(json ? JSON.stringify({ hash, path }) : `${path} signs ${hash}`);
  },
};
