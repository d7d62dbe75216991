function copy(button) {
  const text = button.nextElementSibling;
  const say = (word) => { button.textContent = word; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
  const select = () => {
    getSelection().selectAllChildren(text);
    say(document.execCommand("copy") ? "Copied" : "Selected");
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text.textContent).then(() => say("Copied"), select);
  else select();
}
