// Starts the sample company for the tests and stops it again, by its own process.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const READY = 20_000;

export async function startDemo(binary) {
  const dir = mkdtempSync(join(tmpdir(), 'parlance-e2e-'));
  const any = '127.0.0.1:0';
  const child = spawn(binary, ['demo', '--data', dir, '--http', any, '--c2s', any, '--c2s-tls', any], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  const { http, c2s } = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`demo: not ready:\n${out}`)), READY);
    const hear = (chunk) => {
      out += chunk;
      const at = (what) => new RegExp(`^listening ${what} (\\S+)$`, 'm').exec(out)?.[1];
      if (!at('http') || !at('c2s')) return;
      clearTimeout(timer);
      resolve({ http: at('http'), c2s: at('c2s') });
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('exit', (code) => reject(new Error(`demo: exit ${code}:\n${out}`)));
  });
  return {
    http,
    c2s,
    log: () => out,
    async stop() {
      const gone = new Promise((r) => child.once('exit', r));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await gone;
      clearTimeout(timer);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
