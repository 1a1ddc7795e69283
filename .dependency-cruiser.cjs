/** Import ranks: a file imports its own folder and lower ranks only. Tests may import what they exercise. */
const TEST = '(\\.test\\.ts$|/conformance/|/by-hand\\.ts$|/in-process\\.ts$|sample)';
const ranks = [
  ['fusee/verbs'],
  ['fusee/layout'],
  ['fusee/index', 'fusee/memory', 'fusee/replication'],
  ['fusee/ops'],
  ['fusee/recovery', 'fusee/fsck', 'fusee/background'],
  ['fusee/master'],
  ['fusee/fabric'],
  ['fusee/node'],
  ['fusee/control'],
  ['fusee/store'],
  ['fusee/client'],
  ['fusee/host'],
];
const flat = ranks.flatMap((folders, rank) => folders.map((folder) => ({ folder, rank })));
const above = flat.map(({ folder, rank }) => ({
  name: `rank-of-${folder.replace('/', '-')}`,
  comment: `${folder} has rank ${rank}: it imports its own folder and lower ranks`,
  severity: 'error',
  from: { path: `^${folder}/`, pathNot: TEST },
  to: {
    path: flat
      .filter((other) => other.folder !== folder && other.rank >= rank)
      .map((other) => `^${other.folder}/`)
      .concat('^(harness|workloads|results|plots)/', folder === 'fusee/fabric' ? [] : '^native/'),
  },
}));

module.exports = {
  forbidden: [
    ...above,
    {
      name: 'fabric-imports-verbs-only',
      comment: 'a fabric carries verbs: it must not know what they mean',
      severity: 'error',
      from: { path: '^fusee/fabric/', pathNot: TEST },
      to: { path: '^fusee/', pathNot: '^fusee/(fabric|verbs)/' },
    },
    {
      name: 'nothing-imports-harness',
      severity: 'error',
      from: { pathNot: '^harness/' },
      to: { path: '^harness/' },
    },
    {
      name: 'workloads-stand-alone',
      severity: 'error',
      from: { path: '^workloads/' },
      to: { path: '^(fusee|native|harness|results|plots)/' },
    },
    {
      name: 'results-stand-alone',
      severity: 'error',
      from: { path: '^results/' },
      to: { path: '^(fusee|native|harness|workloads|plots)/' },
    },
    {
      name: 'plots-import-results-only',
      severity: 'error',
      from: { path: '^plots/' },
      to: { path: '^(fusee|native|harness|workloads)/' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^dist/|/build/|node_modules)' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'default'],
    },
  },
};
