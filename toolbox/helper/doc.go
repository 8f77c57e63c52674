// Package stage holds the short-lived helpers of tbx that must be small
// programs of their own: each is a role of tbx-box, exec'ed by tbx. It may
// import the standard library and golang.org/x/sys only.
package helper
