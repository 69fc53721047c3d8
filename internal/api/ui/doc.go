// Package ui is the dashboard: the page at / of the API, and the files it consists of.
//
// It promises that everything the page needs is inside the binary, that nothing is
// fetched from another host and nothing inline is run ([Policy] forbids both), and
// that files are sent compressed, and not at all while the browser has them. There is
// no build step: what is in files is what a browser reads. Start there with app.js;
// feed.js asks the API, question.js is what the address holds.
//
// Start reading at [Find].
package ui
