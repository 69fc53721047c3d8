// Package browser drives a headless Chromium for tests, over the DevTools protocol
// on two pipes. It needs no library and opens no port.
//
// It promises that a page which was opened is a stranger to all others (no shared
// storage), that everything a page complained about can be asked for, errors and
// refusals by its security policy included, and that the browser ends with Close.
// On Linux it also ends when the test's process is killed. Where no Chromium is
// installed, Debian's packages are unpacked into .cache, without root and without a
// change to the machine. Nothing but tests imports it.
//
// Start reading at [Start], then [Page].
package browser
