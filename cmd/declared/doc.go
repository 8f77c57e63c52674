// Package declared holds the commands of declared toolboxes: plan, apply, allow, deny and
// import.
package declared
