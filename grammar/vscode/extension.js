// Starts `gannet lsp` for programs of gannet. Without `npm install` in this folder, or without
// gannet on the path, colours still work.

const { workspace } = require("vscode");

let client;

exports.activate = async () => {
  const { LanguageClient } = require("vscode-languageclient/node");
  const [command, ...args] = workspace.getConfiguration("gannet").get("command");
  const server = { command, args };
  const options = { documentSelector: [{ language: "gannet" }] };
  client = new LanguageClient("gannet", "gannet", server, options);
  await client.start();
};

exports.deactivate = () => client?.stop();
