// Package machine decides what the automatic updates of a host do next: a pure function
// of what is remembered (Record), what is seen (Facts), and the owner's policy. It has no
// clock, no timer, and no file, and starts nothing; package auto gives it the facts,
// writes the record down, and carries the actions out.
//
// The order of one step is: Decide, write the record, do the action, After, write the
// record. A crash at any point leaves a record from which the next Decide goes on, because
// what runs and what boots next is always a fact and never remembered.
//
// What holds in every state is tested by walking them all (walk_test.go): one restart by
// tbx for one release, no restart outside of the policy, nothing that was denied or that
// a person went back from, and no end in a loop.
package machine
