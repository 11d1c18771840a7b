// npm-lock FOLDER…: makes package-lock.json complete for `npm ci`.
//
// npm leaves an optional dependency out of the lock when the registry it was
// made with does not serve that platform's package, and then `npm ci` refuses
// the lock as out of step. This adds the missing entries with the platform that
// their names tell: npm skips them everywhere else, and fetches them, at the
// exact version, on that platform. It also takes out where packages were fetched from.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const OS = ['android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'aix', 'win32'];
const CPU = ['arm64', 'x64', 'ia32', 'riscv64', 's390x', 'ppc64', 'loong64', 'mips64el', 'wasm32', 'arm'];

/** The platform a package name ends in: @biomejs/cli-linux-x64-musl → linux, x64, musl. */
function platform(name) {
  const words = name.split('/').pop().split(/[-_.]/);
  const found = {};
  const os = OS.find((o) => words.includes(o));
  if (os) found.os = [os];
  const cpu = CPU.find((c) => words.includes(c) || (c === 'arm' && words.includes('gnueabihf')));
  if (cpu) found.cpu = [cpu];
  if (words.includes('musl')) found.libc = ['musl'];
  else if (os === 'linux' && words.includes('gnu')) found.libc = ['glibc'];
  return found.os || found.cpu ? found : null;
}

/** Where a package installed at `from` would find `name`, or undefined. */
function resolve(packages, from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    const place = at ? `${at}/node_modules/${name}` : `node_modules/${name}`;
    if (packages[place]) return place;
    if (!at) return undefined;
    if (!at.includes('/node_modules/')) at = '/node_modules/';
  }
}

for (const folder of process.argv.slice(2)) {
  const file = join(folder, 'package-lock.json');
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  const added = [];
  for (const [from, entry] of Object.entries(lock.packages)) {
    delete entry.resolved;
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (resolve(lock.packages, from, name)) continue;
      const where = platform(name);
      if (!where || !/^\d/.test(version)) {
        console.error(`error: ${file}: ${name}@${version} (of ${from}) is missing and its name tells no platform`);
        process.exitCode = 1;
        continue;
      }
      lock.packages[`node_modules/${name}`] = { version, ...where, ...(entry.dev ? { dev: true } : {}), optional: true };
      added.push(name);
    }
  }
  const head = lock.packages[''];
  delete lock.packages[''];
  const sorted = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
  lock.packages = { '': head, ...sorted };
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`${file}: ${added.length} entries added`);
}
