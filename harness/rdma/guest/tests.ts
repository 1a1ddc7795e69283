/**
 * What `npm run test:rdma` runs in the guest, as one bundle (`harness/bundle.mjs`): it lies where helper
 * processes of the conformance suite are looked for.
 */
import '../../../fusee/client/differential.test.js';
import '../../../fusee/fabric/verbs.test.js';
import '../../../fusee/fabric/verbs-bad-input.test.js';
import '../store.test.js';
