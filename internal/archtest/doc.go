// Package archtest holds the picture of ARCHITECTURE.md against the code: who may import whom, and the bars that the
// code keeps (no init, no panic, no globals, every export documented, functions of at most 60 lines). It has no code
// of its own, only tests.
package archtest
