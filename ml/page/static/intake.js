// How photographs come in: dropped (folders too), pasted, chosen, or taken with the camera.

import { byId } from "./dom.js";

const filesBelow = async entry => {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader(), found = [];
  // A reader gives a hundred entries at a time.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    for (const each of some) found.push(...await filesBelow(each));
  }
  return found.filter(file => !file.name.startsWith("."));
};

const dropped = async transfer => {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  return (await Promise.all(entries.map(filesBelow))).flat();
};

// `add` is called with the files.
export const takeIn = add => {
  const drop = byId("drop");
  let inside = 0;
  const holdsFiles = event => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", event => { if (holdsFiles(event)) drop.classList.toggle("over", ++inside > 0); });
  addEventListener("dragleave", event => { if (holdsFiles(event)) drop.classList.toggle("over", --inside > 0); });
  addEventListener("dragover", event => { if (holdsFiles(event)) event.preventDefault(); });
  addEventListener("drop", async event => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    inside = 0;
    drop.classList.remove("over");
    add(await dropped(event.dataTransfer));
  });
  addEventListener("paste", event => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) { event.preventDefault(); add(files); }
  });
  for (const [button, input] of [["choose", "files"], [null, "capture"]]) {
    if (button) byId(button).addEventListener("click", () => byId(input).click());
    byId(input).addEventListener("change", event => {
      add([...event.target.files]);
      event.target.value = "";
    });
  }
  camera(add);
};

// A phone's own camera where there is a finger, a live picture where there is a mouse.
const camera = add => {
  const dialog = byId("camera"), video = byId("video"), take = byId("take"), problem = byId("camera-problem");
  let stream = null, count = 0;
  const end = () => { stream?.getTracks().forEach(track => track.stop()); stream = null; video.srcObject = null; };
  const open = async () => {
    if (matchMedia("(pointer: coarse)").matches || !navigator.mediaDevices?.getUserMedia) return byId("capture").click();
    problem.hidden = true;
    take.disabled = true;
    dialog.showModal();
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1440 } },
      });
      // It may have been closed while the browser asked for permission.
      if (!dialog.open) return end();
      video.srcObject = stream;
      await video.play();
      take.disabled = false;
      take.focus();
    } catch (error) {
      problem.textContent = error.name === "NotAllowedError" ? "The browser was not allowed to use the camera."
        : "The browser found no camera that it can use.";
      problem.hidden = false;
    }
  };
  byId("camera-open").addEventListener("click", open);
  byId("camera-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", end);
  take.addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob(blob => {
      add([new File([blob], `camera-${++count}.jpg`, { type: "image/jpeg" })]);
      dialog.close();
    }, "image/jpeg", 0.95);
  });
};
