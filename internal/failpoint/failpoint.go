// Package failpoint lets a test end the process at a chosen place, arm a seeded bug and see which places were reached. A
// binary has it only when it is built with -tags failpoint. In any other build the three functions are empty and inlined,
// and not even the names of the places remain.
package failpoint
