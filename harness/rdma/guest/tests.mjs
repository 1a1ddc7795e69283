// What vitest takes for a file of tests: Node loads the bundle itself, since to transform it would take the
// guest a minute.
import '../../../dist/fusee/fabric/conformance/in-guest.js';
