#!/usr/bin/env -S node --max-semi-space-size=16
// JavaScript, so that Node loads what strips types of none: the types of all other files were stripped in an earlier run,
// and the modules compiled. That is kept beside the packages, where nobody writes who could not change the program itself,
// and not in the folder for temporary files, as Node would by itself. Where it cannot be kept a start takes longer.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/nexus'));
await import('../src/main.ts');
