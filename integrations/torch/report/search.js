"use strict";
// Shows the rows of the table that hold what is typed; a search behind the # of the address is made at the start.
const box = document.getElementById("search");
const count = document.getElementById("count");
const rows = Array.from(document.querySelectorAll("#operations tbody tr"));
const texts = rows.map((row) => row.textContent.toLowerCase());

function search() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  rows.forEach((row, index) => {
    row.hidden = !words.every((word) => texts[index].includes(word));
    shown += row.hidden ? 0 : 1;
  });
  count.textContent = `${shown} of ${rows.length}`;
}

box.addEventListener("input", search);
box.value = decodeURIComponent(location.hash.slice(1));
search();
