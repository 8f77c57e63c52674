// Package helper holds the short-lived helpers of tbx that must be small programs of
// their own: each is a role of tbx-box that tbx starts or becomes. It may import the
// standard library and golang.org/x/sys only.
package helper
