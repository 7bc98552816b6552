import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { ParameterizedContext as KoaContext } from 'koa';
import { ProblemError, problem } from '../../errors.ts';
import { pageFields } from '../security-headers.ts';
import { type PageFile, type PagePath, pageFiles } from './table.ts';

/** A page: its text, and the one policy that lets it load what it needs and nothing else. */
export type Page = {
  readonly contentSecurityPolicy: string;
  /** @param urlOf The URL of a file of this version, which a browser may keep for ever. */
  readonly html: (urlOf: (path: PagePath) => string) => string;
  readonly files: readonly PagePath[];
};

export type PageFiles = {
  /** True for exactly the paths of the table. */
  has(path: string): path is PagePath;
  /**
   * Answers GET or HEAD of one of the paths. With the digest of the content in `?v=` the answer never changes and may be
   * kept for ever; without, or with another, it has to be asked for again, which its ETag makes cheap.
   *
   * @throws {ProblemError} `method_not_allowed`.
   */
  serve(ctx: KoaContext, path: PagePath): Promise<void>;
  /** Answers with a page. @throws {ProblemError} `method_not_allowed`. */
  respond(ctx: KoaContext, page: Page): Promise<void>;
};

type Content = { readonly bytes: Buffer; readonly type: string; readonly version: string };

const types: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  png: 'image/png',
  svg: 'image/svg+xml',
};

const require = createRequire(import.meta.url);

/** Beside package.json, because most packages export no path to their built files. */
const placeOf = (file: PageFile): string =>
  'own' in file
    ? join(import.meta.dirname, 'browser', file.own)
    : join(dirname(require.resolve(`${file.package}/package.json`)), file.file);

const read = async (path: PagePath): Promise<Content> => {
  const bytes = await readFile(placeOf(pageFiles[path]));
  const type = types[path.slice(path.lastIndexOf('.') + 1)];
  if (type === undefined) throw new Error(`${path} has no media type`);
  return { bytes, type, version: createHash('sha256').update(bytes).digest('base64url').slice(0, 22) };
};

/** Serves the files of the table, each read once, when it is first asked for. */
export const createPageFiles = (): PageFiles => {
  const contents = new Map<PagePath, Promise<Content>>();
  const contentOf = (path: PagePath): Promise<Content> => {
    const known = contents.get(path);
    if (known !== undefined) return known;
    const content = read(path);
    contents.set(path, content);
    content.catch(() => contents.delete(path));
    return content;
  };

  return {
    has: (path): path is PagePath => Object.hasOwn(pageFiles, path),
    serve: async (ctx, path) => {
      requireRead(ctx);
      const { bytes, type, version } = await contentOf(path);
      const lasting = ctx.querystring === `v=${version}`;
      ctx.set('cache-control', lasting ? 'public, max-age=31536000, immutable' : 'no-cache');
      answer(ctx, { bytes, type, version });
    },
    respond: async (ctx, { contentSecurityPolicy, html, files }) => {
      requireRead(ctx);
      const urls = new Map<PagePath, string>();
      for (const path of files) urls.set(path, `${path}?v=${(await contentOf(path)).version}`);
      const bytes = Buffer.from(html((path) => urls.get(path) ?? path));
      const version = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
      ctx.set('content-security-policy', contentSecurityPolicy);
      ctx.set(pageFields);
      ctx.set('cache-control', 'no-cache');
      answer(ctx, { bytes, type: 'text/html; charset=utf-8', version });
    },
  };
};

const requireRead = (ctx: KoaContext): void => {
  if (ctx.method === 'GET' || ctx.method === 'HEAD') return;
  ctx.set('allow', 'GET, HEAD');
  throw new ProblemError(problem('method_not_allowed', `The path does not take ${ctx.method}`));
};

const answer = (ctx: KoaContext, { bytes, type, version }: Content): void => {
  ctx.status = 200;
  ctx.etag = version;
  // RFC 9110, 13.1.2: what the browser has is what it would get.
  if (ctx.fresh) {
    ctx.status = 304;
    return;
  }
  ctx.set('content-type', type);
  ctx.body = bytes;
};
